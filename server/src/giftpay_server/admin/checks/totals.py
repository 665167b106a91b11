"""Checks the sums of all accounts, and of all entries against the system accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, BrokenRow, SystemAccount, Unit

from giftpay_server.journal.check import STATEMENT_TIMEOUT_S
from giftpay_server.postgres.pool import Connection
from giftpay_server.protobuf import short_name

UNITS = (UNIT_COIN, UNIT_DIAMOND)
OWNERS = ""  # the name of all owners, beside the names of system accounts


class Total(NamedTuple):
    """The sum of accounts or entries."""

    balance: int
    entries: int


Totals = Mapping[tuple[int, str], Total]  # by unit and name

# A stripe's owner_id is such as ~GIFT_SALES~3; callers' ids cannot contain ~.
SUM_ACCOUNTS = """
    SELECT unit, split_part(owner_id, '~', 2) AS name, sum(balance) AS balance, sum(seq) AS entries
      FROM account
     GROUP BY 1, 2
"""


async def sum_accounts(connection: Connection) -> Totals:
    """Sums the owners together, and each system account over its stripes."""
    rows = await connection.fetch(SUM_ACCOUNTS, timeout=STATEMENT_TIMEOUT_S)
    return {(row["unit"], row["name"]): _total(row) for row in rows}


def _total(row: Any) -> Total:
    return Total(balance=int(row["balance"]), entries=int(row["entries"]))


# With the sign of the system accounts.
SUM_ENTRIES = """
    SELECT unit, system_account, -sum(amount) AS balance, count(*) AS entries
      FROM entry
     GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class StripesCheck:
    """Checks the stripes of each system account against the entries."""

    names: Sequence[str] = ("account.stripes",)
    whole: bool = True

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        accounts = await sum_accounts(connection)
        booked = await _sum_entries(connection)
        owners = {(unit, OWNERS) for unit in UNITS}
        for unit, name in sorted((accounts.keys() | booked.keys()) - owners):
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


async def _sum_entries(connection: Connection) -> Totals:
    rows = await connection.fetch(SUM_ENTRIES, timeout=STATEMENT_TIMEOUT_S)
    return {
        (row["unit"], short_name(SystemAccount, row["system_account"])): _total(row) for row in rows
    }


@dataclass(frozen=True, slots=True)
class TotalCheck:
    """Checks that the accounts of each unit add up to zero, also those that no batch touched."""

    names: Sequence[str] = ("account.total",)
    whole: bool = False

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        accounts = await sum_accounts(connection)
        for unit in UNITS:
            if total := sum(sums.balance for key, sums in accounts.items() if key[0] == unit):
                return BrokenRow(
                    check="account.total",
                    table="account",
                    key=short_name(Unit, unit),
                    detail=f"expected 0 over all accounts, found {total}",
                )
        return None
