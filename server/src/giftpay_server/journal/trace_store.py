"""The SQL of tracing: what was withdrawn of accounts, and all else that a trace looks at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from giftpay_server.journal.store import Table, Tables
from giftpay_server.ledger.lots import Odometer, Share, Withdrawn
from giftpay_server.ledger.model import Entry, Grant, Lot, LotKind, Withdrawal
from giftpay_server.ledger.trace import CameBack, Past
from giftpay_server.postgres.pool import Connection

Account = tuple[str, int]  # owner_id, unit

READ_WITHDRAWALS = """
    SELECT owner_id, unit, seq, first, size
      FROM withdrawal
      JOIN unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit) USING (owner_id, unit)
     ORDER BY owner_id, unit, first
"""


async def read_withdrawn(connection: Connection, keys: Sequence[Account]) -> Sequence[Withdrawn]:
    """What was withdrawn of each of these accounts, be it nothing."""
    found: dict[Account, list[Withdrawal]] = {key: [] for key in keys}
    for row in await connection.fetch(READ_WITHDRAWALS, *zip(*keys, strict=True)):
        found[row["owner_id"], row["unit"]].append(Withdrawal(*row))
    return [Withdrawn(*key, tuple(rows)) for key, rows in found.items()]


TABLES: Tables = {Withdrawn: Table(load=read_withdrawn)}


# No row: there is no such transaction. One without an entry: it moved nothing.
READ_ENTRIES = """
    SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance
      FROM transactions t
      LEFT JOIN LATERAL unnest(string_to_array(t.entries, ' ')) WITH ORDINALITY AS list (ref, nth)
        ON true
      LEFT JOIN entry e
        ON e.owner_id = split_part(ref, '/', 1)
       AND e.unit = split_part(ref, '/', 2)::smallint
       AND e.seq = split_part(ref, '/', 3)::bigint
     WHERE t.id = $1
     ORDER BY nth
"""


async def read_entries(connection: Connection, transaction_id: str) -> list[Entry] | None:
    """What a transaction moved; None if there is none of this id."""
    rows = await connection.fetch(READ_ENTRIES, transaction_id)
    return [_entry(row) for row in rows if row["seq"] is not None] if rows else None


READ_ACCOUNTS = """
    SELECT owner_id, unit, spent
      FROM account
      JOIN unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit) USING (owner_id, unit)
"""

READ_LOTS = """
    SELECT owner_id, unit, seq, first, size, kind, source_id, price, currency
      FROM lot
      JOIN unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit) USING (owner_id, unit)
     ORDER BY owner_id, unit, seq
"""

# 3: a reversal is the coins of the debit in its account that its gift made.
READ_CAME_BACK = """
    SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance,
           l.seq AS lot_seq
      FROM lot l
      JOIN unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit) USING (owner_id, unit)
      JOIN transactions t ON t.id = l.source_id
     CROSS JOIN LATERAL unnest(string_to_array(t.entries, ' ')) AS ref
      JOIN entry e ON e.owner_id = l.owner_id AND e.unit = l.unit
       AND concat_ws('/', e.owner_id, e.unit, e.seq) = ref
       AND e.seq = split_part(ref, '/', 3)::bigint
     WHERE l.kind = 3 AND e.amount < 0
"""

READ_WITHDRAWING = """
    SELECT DISTINCT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount,
           e.balance
      FROM withdrawal w
      JOIN unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit) USING (owner_id, unit)
      JOIN entry e ON e.owner_id = w.owner_id AND e.unit = w.unit AND e.seq = w.seq
"""


async def read_past(connection: Connection, accounts: Collection[Account]) -> Past:
    """All of these accounts that their debits do not say: enough for the roots of any of these."""
    keys = sorted(accounts)
    if not keys:
        return Past({})
    columns = list(zip(*keys, strict=True))
    withdrawn = {each.key: each for each in await read_withdrawn(connection, keys)}
    lots: dict[Account, list[Lot]] = {key: [] for key in keys}
    for row in await connection.fetch(READ_LOTS, *columns):
        lots[row["owner_id"], row["unit"]].append(_lot(row))
    spent = await connection.fetch(READ_ACCOUNTS, *columns)
    came_back = await connection.fetch(READ_CAME_BACK, *columns)
    withdrawing = await connection.fetch(READ_WITHDRAWING, *columns)
    return Past(
        {(o, u): Odometer(lots[o, u], withdrawn[o, u], n) for o, u, n in spent},
        _came_back(lots, came_back),
        [_entry(row) for row in withdrawing],
    )


# The rank of a spend's coins is what was spent before it.
READ_SPENDS = """
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
             FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[])
                  AS wanted (owner_id, unit, first, past)
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
        ranks.append((lot.owner_id, lot.unit, rank, rank + size))
    rows = await connection.fetch(READ_SPENDS, *zip(*ranks, strict=True), limit)
    return [_entry(row) for row in rows]


def _entry(row: Any) -> Entry:
    owner_id, unit, seq, transaction_id, *booked = row[:7]
    return Entry(owner_id, unit, seq, str(transaction_id), *booked)


def _lot(row: Any) -> Lot:
    owner_id, unit, seq, first, size, kind, source_id, price, currency = row
    grant = Grant(LotKind(kind), str(source_id), price, currency)
    return Lot(owner_id, unit, seq, first, size, grant)


def _came_back(lots: Mapping[Account, Sequence[Lot]], rows: Sequence[Any]) -> list[CameBack]:
    by_seq = {(*key, lot.seq): lot for key, found in lots.items() for lot in found}
    return [
        CameBack(by_seq[row["owner_id"], row["unit"], row["lot_seq"]], _entry(row)) for row in rows
    ]
