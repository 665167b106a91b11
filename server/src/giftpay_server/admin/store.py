"""The SQL of erasures."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from giftpay_server.admin.rules import Erasure
from giftpay_server.journal.columns import Columns
from giftpay_server.journal.store import Table, Tables
from giftpay_server.postgres.pool import Connection, Pool

ERASURE = Columns("owner_id text, generation integer, create_time timestamptz")

SAVE_ERASURES = f"""
    INSERT INTO erasure ({ERASURE.names}) SELECT * FROM unnest({ERASURE.parameters()})
        ON CONFLICT (owner_id) DO UPDATE
       SET generation = excluded.generation, create_time = excluded.create_time
"""


async def save_erasures(connection: Connection, rows: Sequence[Erasure]) -> None:
    """Records erasures: from the commit on, these and earlier generations are hidden."""
    await connection.execute(SAVE_ERASURES, *ERASURE.arrays(sorted(rows)))


TABLES: Tables = {Erasure: Table(save=save_erasures)}


LIST_ERASURES = f"""
    SELECT {ERASURE.names}
      FROM erasure
     WHERE NOT pg_is_in_recovery()  -- a standby removes nothing
     ORDER BY create_time
     LIMIT $1
"""


async def list_erasures(pool: Pool, *, limit: int) -> list[Erasure]:
    """Erasures whose rows are not all removed yet, the oldest first."""
    return [Erasure(**row) for row in await pool.fetch(LIST_ERASURES, limit)]


LIST_HIDDEN = """
    SELECT transaction_id FROM personal_data WHERE owner_id = $1 AND generation <= $2 LIMIT $3
"""


async def list_hidden(pool: Pool, erasure: Erasure, *, limit: int) -> list[UUID]:
    """The transactions whose personal data is hidden and not removed yet."""
    rows = await pool.fetch(LIST_HIDDEN, erasure.owner_id, erasure.generation, limit)
    return [row["transaction_id"] for row in rows]


DELETE_PERSONAL = """
    DELETE FROM personal_data WHERE transaction_id = ANY($1::uuid[])
"""


async def delete_personal(pool: Pool, transaction_ids: Sequence[UUID]) -> None:
    """Removes personal data with its salts."""
    await pool.execute(DELETE_PERSONAL, transaction_ids)


# Rows that another process is removing now are still visible: then the erasure stays until later.
END_ERASURE = """
    DELETE FROM erasure
     WHERE owner_id = $1 AND generation = $2
       AND NOT EXISTS (SELECT 1 FROM personal_data WHERE owner_id = $1 AND generation <= $2)
"""


async def end_erasure(pool: Pool, erasure: Erasure) -> None:
    """Ends an erasure if no row of it is left and the owner was not erased again."""
    await pool.execute(END_ERASURE, erasure.owner_id, erasure.generation)
