"""kill -9 of the server under load: what it acknowledged is there, once, and nothing else is."""

from __future__ import annotations

import signal

import giftpay

from tests.stories.evening import evening
from tests.stories.processes import server_process


async def test_a_killed_server_loses_nothing_that_it_acknowledged() -> None:
    # On its own Postgres, which outlives it and is taken over by the next.
    async with server_process() as server, giftpay.connect(server.address, timeout=10) as client:
        gifts = await evening(client)
        async with gifts.under_way(client):
            for _ in range(3):
                await gifts.until_answered(300)
                await server.stop(signal.SIGKILL)
                await server.start()
            await gifts.until_answered(300)
        await gifts.prove(client)
