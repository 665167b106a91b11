"""The audit checks of the kernel's tables; each slice adds its own."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay_server.admin.checks import accounts, ahead, lots, persons
from giftpay_server.admin.checks.entries import entry_checks
from giftpay_server.admin.checks.money import money_checks
from giftpay_server.admin.checks.totals import StripesCheck, TotalCheck
from giftpay_server.journal.check import AuditCheck
from giftpay_server.registration import Registry


def all_checks(registry: Registry) -> Sequence[AuditCheck]:
    """The kernel's checks, and then those of the slices, which rely on them."""
    return (
        *entry_checks(registry.movements),
        *accounts.CHECKS,
        *lots.CHECKS,
        *money_checks(registry.movements),
        *persons.CHECKS,
        StripesCheck(),
        *registry.checks,
    )


TOTAL = TotalCheck()  # after them, since most of them name a fault more precisely

# They take the latest valid time in place of `since`. They run last, because a clock that was wrong
# once would hide all other findings; and always, because they are cheap.
AHEAD_CHECKS = ahead.CHECKS
