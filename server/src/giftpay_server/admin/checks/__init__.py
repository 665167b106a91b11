"""What must hold in the books, whatever slices there are; each slice adds its own."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay_server.admin.checks import accounts, ahead, lots, persons
from giftpay_server.admin.checks.entries import entry_checks
from giftpay_server.admin.checks.money import money_checks
from giftpay_server.admin.checks.totals import StripesCheck, TotalCheck
from giftpay_server.journal.check import AuditCheck
from giftpay_server.registration import Registry


def all_checks(registry: Registry) -> Sequence[AuditCheck]:
    """The kernel's checks, on which those of the slices rely, and then these."""
    return (
        *entry_checks(registry.movements),
        *accounts.CHECKS,
        *lots.CHECKS,
        *money_checks(registry.movements),
        *persons.CHECKS,
        StripesCheck(),
        *registry.checks,
    )


TOTAL = TotalCheck()  # after them: what it finds, most of them name more closely

# Asked for the latest time that a clock may say, in place of the one since which to look. Made
# last: one clock that was wrong once would hide the rest. Cheap enough to be made always.
AHEAD_CHECKS = ahead.CHECKS
