"""A naive service: one transaction for each gift, a pool, statement after statement.

It is correct and idempotent and locks in one order, but has no group commit.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncpg
import grpc.aio
import uvloop
from giftpay.v1 import (
    Gift,
    GiftServiceServicer,
    SendGiftRequest,
    SendGiftResponse,
    add_GiftServiceServicer_to_server,
)

POOL_SIZE = 20
PRICES = {"rose": 1}

INSERT_GIFT = """
    INSERT INTO gift (idempotency_key, sender_id, recipient_id, gift_id, coins, diamonds)
    VALUES ($1, $2, $3, $4, $5, $5)
        ON CONFLICT DO NOTHING
    RETURNING create_time
"""

READ_GIFT = """
    SELECT * FROM gift WHERE idempotency_key = $1
"""

LOCK_WALLETS = """
    SELECT owner_id, coins FROM wallet WHERE owner_id = ANY($1::text[]) ORDER BY owner_id FOR UPDATE
"""

PAY = """
    UPDATE wallet SET coins = coins - $2 WHERE owner_id = $1 RETURNING coins
"""

EARN = """
    UPDATE wallet SET diamonds = diamonds + $2 WHERE owner_id = $1 RETURNING diamonds
"""

INSERT_ENTRIES = """
    INSERT INTO entry (gift_key, owner_id, unit, amount, balance)
    VALUES ($1, $2, 'COIN', -$4::bigint, $5), ($1, $3, 'DIAMOND', $4, $6)
"""


class Naive(GiftServiceServicer):
    """SendGift on a pool of connections."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def SendGift(self, request: SendGiftRequest, context: Any) -> SendGiftResponse:
        async with self._pool.acquire() as connection, connection.transaction():
            coins = PRICES[request.gift_id] * (request.count or 1)
            create_time = await connection.fetchval(
                INSERT_GIFT,
                *(request.idempotency_key, request.sender_id, request.recipient_id),
                *(request.gift_id, coins),
            )
            if create_time is None:
                return await self._replayed(connection, request, context)
            if not await self._moved(connection, request, coins):
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "insufficient coins")
        return SendGiftResponse(gift=_gift(request, coins, create_time))

    async def _moved(self, connection: Any, request: SendGiftRequest, coins: int) -> bool:
        sender, recipient = request.sender_id, request.recipient_id
        wallets = dict(await connection.fetch(LOCK_WALLETS, [sender, recipient]))
        if len(wallets) < 2 or wallets[sender] < coins:
            return False
        paid = await connection.fetchval(PAY, sender, coins)
        earned = await connection.fetchval(EARN, recipient, coins)
        key = request.idempotency_key
        await connection.execute(INSERT_ENTRIES, key, sender, recipient, coins, paid, earned)
        return True

    async def _replayed(
        self, connection: Any, request: SendGiftRequest, context: Any
    ) -> SendGiftResponse:
        row = await connection.fetchrow(READ_GIFT, request.idempotency_key)
        asked = (request.sender_id, request.recipient_id, request.gift_id)
        if asked != (row["sender_id"], row["recipient_id"], row["gift_id"]):
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "the key was used for another gift")
        gift = _gift(request, row["coins"], row["create_time"])
        return SendGiftResponse(gift=gift, replayed=True)


def _gift(request: SendGiftRequest, coins: int, create_time: Any) -> Gift:
    return Gift(
        transaction_id=request.idempotency_key,
        sender_id=request.sender_id,
        recipient_id=request.recipient_id,
        gift_id=request.gift_id,
        count=request.count or 1,
        coins=coins,
        diamonds=coins,
        create_time=create_time,
    )


async def main(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_GiftServiceServicer_to_server(Naive(pool), server)  # type: ignore[abstract]  # one rpc of them
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(f"naive serves on 127.0.0.1:{port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
