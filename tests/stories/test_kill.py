"""kill -9 under load: what was acknowledged is there, once, and nothing else is."""

from __future__ import annotations

import signal

import giftpay
import pytest

from tests.stories.evening import evening
from tests.stories.processes import own_database, server_process


async def test_a_killed_server_loses_nothing_that_it_acknowledged() -> None:
    async with server_process() as server, giftpay.connect(server.address, timeout=5) as client:
        gifts = await evening(client)
        async with gifts.under_way(client):
            for _ in range(2):
                await gifts.until_answered(300)
                await server.stop(signal.SIGKILL)
                await server.start()
            await gifts.until_answered(300)
        await gifts.prove(client)


@pytest.mark.parametrize("group", [False, True], ids=["the postmaster", "all its processes"])
async def test_a_killed_postgres_loses_nothing_that_was_acknowledged(group: bool) -> None:
    async with (
        own_database() as database,
        server_process(DATABASE_URL=database.dsn, POOL_SIZE="3", SANDBOX_URL="http://127.0.0.1:1") as server,
        giftpay.connect(server.address, timeout=5) as client,
    ):
        gifts = await evening(client)
        async with gifts.under_way(client):
            for _ in range(4):  # more often than the pool has connections
                await gifts.until_answered(200)
                await database.kill(group=group)
                await database.start()
            await gifts.until_answered(200)
        await gifts.prove(client)
