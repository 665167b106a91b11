"""The sums of all accounts, and of all entries against the system accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, BrokenRow, SystemAccount, Unit

from giftpay_server.postgres.pool import Connection
from giftpay_server.protobuf import short_name

UNITS = (UNIT_COIN, UNIT_DIAMOND)
OWNERS = ""  # stands for the owners where system accounts go by name


class Total(NamedTuple):
    """What accounts or entries add up to."""

    balance: int
    entries: int


Totals = Mapping[tuple[int, str], Total]  # by unit and name

# A stripe is named ~GIFT_SALES~3; no owner's id has the character.
SUM_ACCOUNTS = """
    SELECT unit, split_part(owner_id, '~', 2) AS name, sum(balance) AS balance, sum(seq) AS entries
      FROM account
     GROUP BY 1, 2
"""


async def sum_accounts(connection: Connection, *, timeout_s: float) -> Totals:
    """The owners together, and each system account over its stripes."""
    rows = await connection.fetch(SUM_ACCOUNTS, timeout=timeout_s)
    return {(unit, name): Total(int(balance), int(n)) for unit, name, balance, n in rows}


# Seen from the system accounts.
SUM_ENTRIES = """
    SELECT unit, system_account, -sum(amount) AS balance, count(*) AS entries
      FROM entry
     GROUP BY 1, 2
"""


async def broken_stripe(connection: Connection, *, timeout_s: float) -> BrokenRow | None:
    """The first system account whose stripes are not what the entries against it say."""
    accounts = await sum_accounts(connection, timeout_s=timeout_s)
    rows = await connection.fetch(SUM_ENTRIES, timeout=timeout_s)
    booked = {
        (unit, short_name(SystemAccount, system)): Total(int(balance), n)
        for unit, system, balance, n in rows
    }
    for unit, name in sorted(
        (accounts.keys() | booked.keys()) - {(unit, OWNERS) for unit in UNITS}
    ):
        expected, found = (sums.get((unit, name), Total(0, 0)) for sums in (booked, accounts))
        if expected != found:
            return BrokenRow(
                check="account.stripes",
                table="account",
                key=f"~{name}~*/{short_name(Unit, unit)}",
                detail=f"expected {expected.balance} by {expected.entries} entries, "
                f"found {found.balance} by {found.entries}",
            )
    return None


def broken_sum(accounts: Totals) -> BrokenRow | None:
    """The first unit whose accounts are not zero together."""
    for unit in UNITS:
        if total := sum(sums.balance for key, sums in accounts.items() if key[0] == unit):
            return BrokenRow(
                check="account.total",
                table="account",
                key=short_name(Unit, unit),
                detail=f"expected 0 over all accounts, found {total}",
            )
    return None
