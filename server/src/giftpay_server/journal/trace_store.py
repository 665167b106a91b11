"""The SQL of tracing coins and of withdrawals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from giftpay_server.journal.columns import Columns
from giftpay_server.journal.sql import refs
from giftpay_server.journal.store import Table, Tables, entry
from giftpay_server.ledger.lots import Odometer, Share, Withdrawn
from giftpay_server.ledger.model import Entry, Grant, Lot, LotKind, Withdrawal
from giftpay_server.ledger.trace import CameBack, Past
from giftpay_server.postgres.pool import Connection

Account = tuple[str, int]  # owner_id, unit

# $1 and $2, as `_arrays` has them.
WANTED = "unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit)"

READ_WITHDRAWALS = f"""
    SELECT owner_id, unit, seq, first, size
      FROM withdrawal
      JOIN {WANTED} USING (owner_id, unit)
     ORDER BY owner_id, unit, first
"""


async def read_withdrawn(connection: Connection, keys: Sequence[Account]) -> Sequence[Withdrawn]:
    """The withdrawals from each of these accounts, also where there are none."""
    found: dict[Account, list[Withdrawal]] = {key: [] for key in keys}
    for row in await connection.fetch(READ_WITHDRAWALS, *_arrays(keys)):
        found[row["owner_id"], row["unit"]].append(Withdrawal(**row))
    return [Withdrawn(owner_id, unit, tuple(rows)) for (owner_id, unit), rows in found.items()]


def _arrays(keys: Sequence[Account]) -> tuple[list[str], list[int]]:
    return [owner_id for owner_id, _ in keys], [unit for _, unit in keys]


TABLES: Tables = {Withdrawn: Table(load=read_withdrawn)}


# No row: there is no such transaction. A row without an entry: it moved nothing.
READ_ENTRIES = f"""
    SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance
      FROM transactions t
      LEFT JOIN LATERAL {refs("t.entries")} AS ref ON true
      LEFT JOIN entry e USING (owner_id, unit, seq)
     WHERE t.id = $1
     ORDER BY nth
"""


async def read_entries(connection: Connection, transaction_id: str) -> list[Entry] | None:
    """The entries of a transaction; None if there is no such transaction."""
    rows = await connection.fetch(READ_ENTRIES, transaction_id)
    return [entry(row) for row in rows if row["seq"] is not None] if rows else None


READ_ACCOUNTS = f"""
    SELECT owner_id, unit, spent
      FROM account
      JOIN {WANTED} USING (owner_id, unit)
"""

READ_LOTS = f"""
    SELECT owner_id, unit, seq, first, size, kind, source_id, price, currency
      FROM lot
      JOIN {WANTED} USING (owner_id, unit)
     ORDER BY owner_id, unit, seq
"""

# A reversal lot returns the coins of the debit that its gift made in the same account.
READ_CAME_BACK = f"""
    SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance,
           l.seq AS lot_seq
      FROM lot l
      JOIN {WANTED} USING (owner_id, unit)
      JOIN transactions t ON t.id = l.source_id
      JOIN LATERAL {refs("t.entries")} AS ref
        ON ref.owner_id = l.owner_id AND ref.unit = l.unit
      JOIN entry e ON e.owner_id = ref.owner_id AND e.unit = ref.unit AND e.seq = ref.seq
     WHERE l.kind = {LotKind.REVERSAL} AND e.amount < 0
"""

READ_WITHDRAWING = f"""
    SELECT DISTINCT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount,
           e.balance
      FROM withdrawal w
      JOIN {WANTED} USING (owner_id, unit)
      JOIN entry e ON e.owner_id = w.owner_id AND e.unit = w.unit AND e.seq = w.seq
"""


async def read_past(connection: Connection, accounts: Collection[Account]) -> Past:
    """The accounts without their spends: enough to find the roots of any debit."""
    keys = sorted(accounts)
    if not keys:
        return Past({})
    wanted = _arrays(keys)
    withdrawn = {each.key: each for each in await read_withdrawn(connection, keys)}
    lots: dict[Account, list[Lot]] = {key: [] for key in keys}
    for row in await connection.fetch(READ_LOTS, *wanted):
        lots[row["owner_id"], row["unit"]].append(_lot(row))
    found = await connection.fetch(READ_ACCOUNTS, *wanted)
    spent = {(row["owner_id"], row["unit"]): row["spent"] for row in found}
    came_back = await connection.fetch(READ_CAME_BACK, *wanted)
    withdrawing = await connection.fetch(READ_WITHDRAWING, *wanted)
    return Past(
        {key: Odometer(lots[key], withdrawn[key], size) for key, size in spent.items()},
        _came_back(lots, came_back),
        [entry(row) for row in withdrawing],
    )


class Ranks(NamedTuple):
    """Spent coins [first, past) of an account, numbered as they were spent."""

    owner_id: str
    unit: int
    first: int
    past: int


RANKS = Columns("owner_id text, unit smallint, first bigint, past bigint")

# The rank of a spend's first coin is the number of coins spent before it.
READ_SPENDS = f"""
    WITH spend AS (
        SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance,
               sum(-e.amount) OVER (PARTITION BY e.owner_id, e.unit ORDER BY e.seq) AS past
          FROM entry e
         WHERE e.owner_id = ANY($1::text[]) AND e.unit = ANY($2::smallint[]) AND e.amount < 0
           AND NOT EXISTS (
               SELECT 1
                 FROM withdrawal w
                WHERE w.owner_id = e.owner_id AND w.unit = e.unit AND w.seq = e.seq
               )
    )
    SELECT owner_id, unit, seq, transaction_id, system_account, amount, balance
      FROM spend s
     WHERE EXISTS (
           SELECT 1
             FROM unnest({RANKS.parameters()}) AS wanted ({RANKS.names})
            WHERE wanted.owner_id = s.owner_id AND wanted.unit = s.unit
              AND s.past > wanted.first AND s.past + s.amount < wanted.past
           )
     ORDER BY owner_id, unit, seq
     LIMIT $5
"""


async def read_spends(
    connection: Connection, past: Past, coins: Sequence[Share], *, limit: int
) -> list[Entry]:
    """The first spends of these coins, all of which are spent."""
    if not coins:
        return []
    ranks = []
    for lot, first, size in coins:
        rank = past.odometer(lot).withdrawn.rank(first)
        ranks.append(Ranks(lot.owner_id, lot.unit, first=rank, past=rank + size))
    rows = await connection.fetch(READ_SPENDS, *RANKS.arrays(ranks), limit)
    return [entry(row) for row in rows]


def _lot(row: Any) -> Lot:
    kind, source_id = LotKind(row["kind"]), str(row["source_id"])
    return Lot(
        owner_id=row["owner_id"],
        unit=row["unit"],
        seq=row["seq"],
        first=row["first"],
        size=row["size"],
        grant=Grant(kind, source_id, price=row["price"], currency=row["currency"]),
    )


def _came_back(lots: Mapping[Account, Sequence[Lot]], rows: Sequence[Any]) -> list[CameBack]:
    by_seq = {(*key, lot.seq): lot for key, found in lots.items() for lot in found}
    return [
        CameBack(by_seq[row["owner_id"], row["unit"], row["lot_seq"]], entry(row)) for row in rows
    ]
