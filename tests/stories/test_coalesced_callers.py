"""Many callers of one client whose gifts travel in batches, and a server in trouble."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import giftpay
import pytest
from giftpay.client import Client

from tests.stories.evening import VIEWER_COINS, Evening
from tests.stories.processes import server_process
from tests.stories.wallets import apply_catalog, open_wallet, prove_books

CALLERS = 40


class Callers(Evening):
    """Callers who each send one gift after the other."""

    @asynccontextmanager
    async def sending(self, client: Client) -> AsyncIterator[None]:
        """All of them send while this lasts."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one_by_one(client)) for _ in range(CALLERS)]
            yield
            for task in tasks:
                task.cancel()


async def callers(client: Client) -> Callers:
    await apply_catalog(client)
    viewers = {await open_wallet(client, coins=coins): coins for coins in VIEWER_COINS}
    return Callers(viewers, [await open_wallet(client) for _ in range(2)], deadline_s=10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_ends_loses_no_gift_and_books_none_twice(
    number: signal.Signals,
) -> None:
    async with (
        server_process() as server,
        giftpay.connect(server.address, timeout=10, coalesce=True) as client,
    ):
        gifts = await callers(client)
        async with gifts.sending(client):
            for _ in range(3):
                await gifts.until_answered(300)
                await server.stop(number)
                await server.start()
            await gifts.until_answered(300)
        await gifts.prove_answers(client)
        await prove_books(client)


async def test_a_queue_that_is_full_turns_callers_away_one_by_one() -> None:
    async with (
        server_process(QUEUE_MAX="30") as server,
        giftpay.connect(server.address) as other,
        giftpay.connect(server.address, coalesce=True) as client,
    ):
        gifts = await callers(client)
        async with gifts.sending(client), gifts.sending(other):
            await gifts.until_answered(1_000)
        assert gifts.failures.keys() == {"ERROR_REASON_OVERLOADED"}
        await gifts.prove_answers(client)
        await prove_books(client)
