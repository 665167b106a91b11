"""The SQL of top-ups and their payments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from giftpay.v1 import TOP_UP_STATE_PAID, TOP_UP_STATE_UNSPECIFIED, TopUpState

from giftpay_server.journal.columns import Columns
from giftpay_server.journal.store import Kept, Table, Tables
from giftpay_server.journal.writes import MONEY_MOVEMENT, insert_money_movements
from giftpay_server.ledger.model import MoneyMovement
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.top_up.rules import Receipt, TopUpRow

TOP_UP = Columns(
    "top_up_id uuid, owner_id text, package_id text, provider smallint, currency text,"
    " minor_units bigint, coins bigint, bonus_coins bigint, catalog_version integer,"
    " create_time timestamptz, state smallint, payment_reference text, pay_time timestamptz,"
    " paid_after_cancel boolean"
)

READ_TOP_UPS = f"""
    SELECT {TOP_UP.names} FROM top_up WHERE top_up_id = ANY($1::uuid[])
"""

# A paid order never changes: it is not updated, and then the count is too small.
SAVE_TOP_UPS = f"""
    INSERT INTO top_up AS u ({TOP_UP.names}) SELECT * FROM unnest({TOP_UP.parameters()})
        ON CONFLICT (top_up_id) DO UPDATE
       SET state = excluded.state, payment_reference = excluded.payment_reference,
           pay_time = excluded.pay_time, paid_after_cancel = excluded.paid_after_cancel
     WHERE u.state <> {TOP_UP_STATE_PAID}
    RETURNING 1
"""


async def load_top_ups(connection: Connection, keys: Sequence[str]) -> Sequence[TopUpRow]:
    """Top-ups by their ids."""
    return [_row(found) for found in await connection.fetch(READ_TOP_UPS, keys)]


async def save_top_ups(connection: Connection, rows: Sequence[TopUpRow]) -> None:
    """New and changed top-ups; raises RuntimeError where one was paid before."""
    saved = await connection.fetch(SAVE_TOP_UPS, *TOP_UP.arrays(rows))
    if len(saved) != len(rows):
        raise RuntimeError(f"{len(saved)} top-ups saved instead of {len(rows)}")


async def read_top_up(pool: Pool, top_up_id: str) -> TopUpRow | None:
    """The current state of a top-up."""
    found = await pool.fetchrow(READ_TOP_UPS, [top_up_id])
    return _row(found) if found is not None else None


# Finds a payment by its claim, by primary key; most payments have none yet.
READ_CLAIMS = """
    SELECT id, transaction_id FROM claim WHERE id = ANY($1::text[])
"""

READ_MONEY_MOVEMENTS = f"""
    SELECT {MONEY_MOVEMENT.names} FROM money_movement WHERE transaction_id = ANY($1::uuid[])
"""


async def load_receipts(connection: Connection, keys: Sequence[str]) -> Sequence[Receipt]:
    """Payments that were booked, by their claims."""
    claims = await connection.fetch(READ_CLAIMS, keys)
    if not claims:
        return ()
    ids = [claim["transaction_id"] for claim in claims]
    found = await connection.fetch(READ_MONEY_MOVEMENTS, ids)
    received = {row["transaction_id"]: _movement(row) for row in found}
    return [
        Receipt(claim["id"], received[claim["transaction_id"]])
        for claim in claims
        if claim["transaction_id"] in received
    ]


def _movement(row: Any) -> MoneyMovement:
    ids = {name: str(row[name]) for name in ("transaction_id", "subject_id")}
    return MoneyMovement(**{**row, **ids})


async def save_receipts(connection: Connection, rows: Sequence[Receipt]) -> None:
    """Records payments; the kernel writes their claims."""
    await insert_money_movements(connection, [receipt.movement for receipt in rows])


TABLES: Tables = {
    TopUpRow: Table(load=load_top_ups, save=save_top_ups, kept=Kept.COMPANION),
    Receipt: Table(load=load_receipts, save=save_receipts, kept=Kept.TERMS),
}

IS_DECIDED = """
    SELECT EXISTS (SELECT 1 FROM transactions WHERE id = $1)
"""


async def is_decided(pool: Pool, transaction_id: str) -> bool:
    """Whether a command with this key was decided."""
    return bool(await pool.fetchval(IS_DECIDED, transaction_id))


LIST_TOP_UPS = f"""
    SELECT {TOP_UP.names}
      FROM top_up
     WHERE owner_id = $1 AND (create_time, top_up_id) < ($2, $3)
       AND ($4 = {TOP_UP_STATE_UNSPECIFIED} OR state = $4)
     ORDER BY create_time DESC, top_up_id DESC
     LIMIT $5
"""


async def list_top_ups(
    pool: Pool,
    owner_id: str,
    *,
    state: TopUpState.ValueType,
    before: tuple[datetime, str],
    limit: int,
) -> list[TopUpRow]:
    """An owner's top-ups, newest first, older than one of this time and id; state 0 is any."""
    rows = await pool.fetch(LIST_TOP_UPS, owner_id, *before, state, limit)
    return [_row(found) for found in rows]


def _row(found: Any) -> TopUpRow:
    return TopUpRow(**{**found, "top_up_id": str(found["top_up_id"])})
