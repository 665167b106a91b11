"""A journal that is made to wait, so that what comes next has to queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from giftpay.client import Client
from giftpay.v1 import GetWalletRequest
from giftpay_server.postgres.pool import Pool

MEET_S = 20  # for a batch to reach the block on a busy machine
POLL_S = 0.01

BLOCK = """
    SELECT FROM account WHERE owner_id = $1 FOR UPDATE
"""

# Not pg_stat_activity: a transaction sees it as it was at the first look.
WAITING = """
    SELECT EXISTS (SELECT FROM pg_locks
                    WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))
      FROM pg_sleep($1)
"""


@asynccontextmanager
async def blocked(pool: Pool, owner_id: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Holds the accounts of an owner; yields what waits until a batch waits for them.

    Not for long: the server's own statement ends after 5 s.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(BLOCK, owner_id)

        async def until_met() -> None:
            async with asyncio.timeout(MEET_S):
                while not await connection.fetchval(WAITING, POLL_S):
                    pass

        yield until_met


async def round_trips(client: Client, owner_id: str) -> None:
    """Returns when the server has seen all that was sent on this connection before."""
    for _ in range(3):
        await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
