"""The SQL of erasing."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay_server.admin.rules import Erasure
from giftpay_server.ledger.store import Tables
from giftpay_server.postgres.pool import Connection

COUNT_PERSONAL = """
    SELECT owner_id, count(*) FROM personal_data WHERE owner_id = ANY($1::text[]) GROUP BY owner_id
"""

# What came in the same batch goes as well: it was on its way at the same time.
DELETE_PERSONAL = """
    DELETE FROM personal_data WHERE owner_id = ANY($1::text[])
"""


class Erasures:
    """Personal data by owner: counted, and removed with its salts."""

    async def load(self, connection: Connection, keys: Sequence[str]) -> Sequence[Erasure]:
        return [Erasure(*row) for row in await connection.fetch(COUNT_PERSONAL, keys)]

    async def save(self, connection: Connection, rows: Sequence[Erasure]) -> None:
        await connection.execute(DELETE_PERSONAL, [erasure.owner_id for erasure in rows])


TABLES: Tables = {Erasure: Erasures()}
