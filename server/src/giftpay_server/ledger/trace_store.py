"""The SQL of coins: what was withdrawn of accounts, and all else that a trace looks at."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay_server.ledger.books import Table, Withdrawal
from giftpay_server.ledger.lots import Withdrawn
from giftpay_server.ledger.store import Tables
from giftpay_server.postgres.pool import Connection

READ_WITHDRAWALS = """
    SELECT owner_id, unit, seq, first, size
      FROM withdrawal
      JOIN unnest($1::text[], $2::smallint[]) AS wanted (owner_id, unit) USING (owner_id, unit)
     ORDER BY owner_id, unit, first
"""


async def read_withdrawn(
    connection: Connection, keys: Sequence[tuple[str, int]]
) -> Sequence[Withdrawn]:
    """What was withdrawn of each of these accounts, be it nothing."""
    found: dict[tuple[str, int], list[Withdrawal]] = {key: [] for key in keys}
    for row in await connection.fetch(READ_WITHDRAWALS, *zip(*keys, strict=True)):
        found[row["owner_id"], row["unit"]].append(Withdrawal(*row))
    return [Withdrawn(*key, tuple(rows)) for key, rows in found.items()]


TABLES: Tables = {Withdrawn: Table(load=read_withdrawn)}
