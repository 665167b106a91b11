"""Many coalesced callers of one client, over bad connections and with locked rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import giftpay
import pytest
from giftpay.client import Client

from tests.faults import held_rows
from tests.faults.crowds import AT_LEAST, crowd
from tests.faults.fault_proxy import DOWN, EXISTING, UP, Direction, fault_proxy, tcp
from tests.faults.faults import BlackHole, Cut
from tests.faults.held_rows import held
from tests.stories.processes import ServerProcess, server_process
from tests.stories.wallets import apply_catalog, open_wallet, prove_books

VIEWERS, FANS = 40, 3
ROUNDS, GIFTS = 5, 100
PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Place:
    """A server, the database below it, and a client with connections of its own."""

    server: ServerProcess
    dsn: str
    client: Client


@pytest.fixture(scope="module")
async def place(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Place]:
    dsn = await new_database()
    async with (
        server_process(DATABASE_URL=dsn) as server,
        giftpay.connect(server.address, timeout=PATIENCE_S) as client,
    ):
        await apply_catalog(client)
        yield Place(server, dsn, client)


@pytest.mark.parametrize("way", [UP, DOWN])
async def test_connections_that_are_cut_lose_no_gift_and_book_none_twice(
    place: Place, way: Direction
) -> None:
    viewers = await crowd(place.client, viewers=VIEWERS)
    async with (
        fault_proxy(tcp(place.server.address)) as proxy,
        giftpay.connect(proxy.address, coalesce=True) as client,
        viewers.sending(client),
    ):
        for _ in range(ROUNDS):
            await viewers.until_answered(GIFTS)
            taken = proxy.taken
            with proxy.failing(Cut(after=2_000), way, on=EXISTING):
                await proxy.until(lambda taken=taken: proxy.taken > taken)  # type: ignore[misc]
        await viewers.until_answered(GIFTS)
    await viewers.prove_answers(place.client)
    await prove_books(place.client)


async def test_a_dead_connection_loses_no_gift_and_books_none_twice(place: Place) -> None:
    viewers = await crowd(place.client, viewers=VIEWERS)
    async with (
        fault_proxy(tcp(place.server.address)) as proxy,
        giftpay.connect(proxy.address, coalesce=True) as client,
        viewers.sending(client),
    ):
        await viewers.until_answered(GIFTS)
        with proxy.failing(BlackHole(), on=EXISTING):
            await viewers.until_answered(GIFTS, within_s=PATIENCE_S)
    await viewers.prove_answers(place.client)
    await prove_books(place.client)


async def test_a_locked_account_delays_only_gifts_to_it(place: Place) -> None:
    star = await open_wallet(place.client)
    fans = await crowd(place.client, viewers=FANS, stars=[star])
    viewers = await crowd(place.client, viewers=VIEWERS)
    async with (
        giftpay.connect(place.server.address, timeout=PATIENCE_S, coalesce=True) as client,
        fans.sending(client),
    ):
        async with viewers.sending(client):
            undisturbed = await viewers.answered_in_a_slice()
            async with held(place.dsn, held_rows.ACCOUNT, star) as holder:
                await holder.until_met()
                beside = await viewers.answered_in_a_slice()
        assert beside * AT_LEAST >= undisturbed, (beside, undisturbed)
        await asyncio.wait_for(fans.until_answered(FANS), PATIENCE_S)
    await fans.prove_answers(place.client)
    await viewers.prove_answers(place.client)
    await prove_books(place.client)
