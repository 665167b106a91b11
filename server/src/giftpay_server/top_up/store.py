"""The SQL of orders and of the money received for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from giftpay.v1 import TopUpState

from giftpay_server.ledger.extras import insert_money_movements
from giftpay_server.ledger.store import Tables
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.top_up.rules import Order, Receipt

READ_ORDERS = """
    SELECT top_up_id, owner_id, package_id, provider, currency, minor_units, coins, bonus_coins,
           catalog_version, create_time, state, payment_reference, pay_time, paid_after_cancel
      FROM top_up
     WHERE top_up_id = ANY($1::uuid[])
"""

# What is paid never changes again: such a row is not found, and the count tells.
SAVE_ORDERS = """
    INSERT INTO top_up AS o (top_up_id, owner_id, package_id, provider, currency, minor_units,
                             coins, bonus_coins, catalog_version, create_time, state,
                             payment_reference, pay_time, paid_after_cancel)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::text[],
                         $6::bigint[], $7::bigint[], $8::bigint[], $9::integer[],
                         $10::timestamptz[], $11::smallint[], $12::text[], $13::timestamptz[],
                         $14::boolean[])
        ON CONFLICT (top_up_id) DO UPDATE
       SET state = excluded.state, payment_reference = excluded.payment_reference,
           pay_time = excluded.pay_time, paid_after_cancel = excluded.paid_after_cancel
     WHERE o.state <> 2
    RETURNING 1
"""


class Orders:
    """Orders as commands read and change them."""

    async def load(self, connection: Connection, keys: Sequence[str]) -> Sequence[Order]:
        return [_order(row) for row in await connection.fetch(READ_ORDERS, keys)]

    async def save(self, connection: Connection, rows: Sequence[Order]) -> None:
        saved = await connection.fetch(SAVE_ORDERS, *zip(*map(_columns, rows), strict=True))
        if len(saved) != len(rows):
            raise RuntimeError(f"{len(saved)} orders saved instead of {len(rows)}")


async def read_order(pool: Pool, top_up_id: str) -> Order | None:
    """One order as it stands."""
    row = await pool.fetchrow(READ_ORDERS, [top_up_id])
    return _order(row) if row is not None else None


# By way of the claim on the payment, which is one row by its key.
READ_RECEIPTS = """
    SELECT c.id AS claim, m.transaction_id, m.subject_id AS top_up_id, m.provider, m.reference,
           m.currency, m.minor_units, m.create_time
      FROM claim c
      JOIN money_movement m ON m.transaction_id = c.transaction_id
     WHERE c.id = ANY($1::text[])
"""


class Receipts:
    """Money received; never changed once it is written."""

    async def load(self, connection: Connection, keys: Sequence[str]) -> Sequence[Receipt]:
        return [
            Receipt(row["claim"], str(row["transaction_id"]), str(row["top_up_id"]), *row[3:])
            for row in await connection.fetch(READ_RECEIPTS, keys)
        ]

    async def save(self, connection: Connection, rows: Sequence[Receipt]) -> None:
        movements = [receipt[1:] for receipt in rows]  # the claim is the kernel's
        await insert_money_movements(connection, movements)


TABLES: Tables = {Order: Orders(), Receipt: Receipts()}

IS_DECIDED = """
    SELECT EXISTS (SELECT FROM transactions WHERE id = $1)
"""


async def is_decided(pool: Pool, transaction_id: str) -> bool:
    """Whether anything stands under a key for ever."""
    return bool(await pool.fetchval(IS_DECIDED, transaction_id))


LIST_ORDERS = """
    SELECT top_up_id, owner_id, package_id, provider, currency, minor_units, coins, bonus_coins,
           catalog_version, create_time, state, payment_reference, pay_time, paid_after_cancel
      FROM top_up
     WHERE owner_id = $1 AND (create_time, top_up_id) < ($2, $3) AND ($4 = 0 OR state = $4)
     ORDER BY create_time DESC, top_up_id DESC
     LIMIT $5
"""


async def list_orders(
    pool: Pool,
    owner_id: str,
    *,
    state: TopUpState.ValueType,
    before: tuple[datetime, str],
    limit: int,
) -> list[Order]:
    """An owner's orders, newest first, older than one of this time and id; state 0 is any."""
    return [_order(row) for row in await pool.fetch(LIST_ORDERS, owner_id, *before, state, limit)]


def _order(row: Any) -> Order:
    return Order(**{**row, "top_up_id": str(row["top_up_id"])})


def _columns(order: Order) -> tuple[Any, ...]:
    return (
        order.top_up_id,
        order.owner_id,
        order.package_id,
        order.provider,
        order.currency,
        order.minor_units,
        order.coins,
        order.bonus_coins,
        order.catalog_version,
        order.create_time,
        order.state,
        order.payment_reference,
        order.pay_time,
        order.paid_after_cancel,
    )
