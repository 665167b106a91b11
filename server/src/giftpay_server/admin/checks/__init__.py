"""What must hold in the books: the checks of the kernel, and all there are."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay_server.admin.checks import accounts, ahead, lots, persons
from giftpay_server.admin.checks.entries import entry_checks
from giftpay_server.admin.checks.money import money_checks
from giftpay_server.admin.checks.movements import MOVEMENTS, Movements
from giftpay_server.admin.checks.totals import StripesCheck, TotalCheck
from giftpay_server.catalog import checks as catalog
from giftpay_server.gift import checks as gift
from giftpay_server.journal.check import AuditCheck
from giftpay_server.redemption import checks as redemption
from giftpay_server.top_up import checks as top_up


def kernel_checks(movements: Movements) -> Sequence[AuditCheck]:
    """What holds whatever slices there are, if these are the movements that they make."""
    return (
        *entry_checks(movements),
        *accounts.CHECKS,
        *lots.CHECKS,
        *money_checks(movements),
        *persons.CHECKS,
        StripesCheck(),
    )


CHECKS: Sequence[AuditCheck] = (
    *kernel_checks(MOVEMENTS),
    *catalog.CHECKS,
    *top_up.CHECKS,
    *gift.CHECKS,
    *redemption.CHECKS,
)

TOTAL = TotalCheck()  # after them: what it finds, most of them name more closely

# Asked for the latest time that a clock may say, in place of the one since which to look. Made
# last: one clock that was wrong once would hide the rest. Cheap enough to be made always.
AHEAD_CHECKS = ahead.CHECKS
