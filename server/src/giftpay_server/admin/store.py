"""The SQL of erasing."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay_server.admin.rules import Erasure
from giftpay_server.journal.store import Tables
from giftpay_server.ledger.model import Table
from giftpay_server.postgres.pool import Connection

COUNT_PERSONAL = """
    SELECT owner_id, count(*) AS transactions
      FROM personal_data
     WHERE owner_id = ANY($1::text[])
     GROUP BY owner_id
"""


async def count_personal(connection: Connection, keys: Sequence[str]) -> Sequence[Erasure]:
    """What is known of owners as persons."""
    rows = await connection.fetch(COUNT_PERSONAL, keys)
    return [Erasure(row["owner_id"], row["transactions"]) for row in rows]


DELETE_PERSONAL = """
    DELETE FROM personal_data WHERE owner_id = ANY($1::text[])
"""


async def delete_personal(connection: Connection, rows: Sequence[Erasure]) -> None:
    """Personal data goes with its salts."""
    await connection.execute(DELETE_PERSONAL, [erasure.owner_id for erasure in rows])


TABLES: Tables = {Erasure: Table(load=count_personal, save=delete_personal)}
