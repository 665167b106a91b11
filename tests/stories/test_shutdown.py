"""A server that is stopped answers what it has accepted, and accepts nothing new."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import giftpay
import grpc
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_DIAMOND,
    SendGiftRequest,
    SendGiftResponse,
    StreamGiftsRequest,
)
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tests.stories.blocking import blocked, round_trips
from tests.stories.evening import evening
from tests.stories.processes import ServerProcess, server_process
from tests.stories.wallets import apply_catalog, balances, open_wallet, prove_books

END_S = 15  # on a busy machine, once the last answer is given

MakeDatabase = Callable[[], Awaitable[str]]


@pytest.fixture(scope="module")
async def database(new_database: MakeDatabase) -> str:
    return await new_database()


@pytest.fixture
async def server(database: str) -> AsyncIterator[ServerProcess]:
    # So much grace that whoever uses it up is found.
    async with server_process(DATABASE_URL=database, GRACE_S="60") as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_was_taken_is_answered_and_then_it_ends(
    server: ServerProcess, database: str, number: signal.Signals
) -> None:
    async with (
        giftpay.connect(server.address) as client,
        giftpay.connect(server.address, timeout=1) as late,
        asyncpg.create_pool(database, min_size=1, max_size=1) as pool,
    ):
        await apply_catalog(client)
        anna, ben = await open_wallet(client, coins=1_000), await open_wallet(client)
        gifts = [rose(anna, ben) for _ in range(40)]
        async with watching(client, ben):
            async with blocked(pool):
                answers = send_all(client, gifts)
                await round_trips(client, anna)
                await round_trips(client, anna)
                server.send(number)
                with pytest.raises(giftpay.OutcomeUnknown):
                    await late.gifts.SendGift(rose(anna, ben))
                with pytest.raises(giftpay.Unavailable):
                    await giftpay.connect(server.address).__aenter__()
            assert not any(answer.replayed for answer in await asyncio.gather(*answers))
            async with asyncio.timeout(END_S):
                assert await server.ended() == 0
            await server.start()
            again = await asyncio.gather(*send_all(client, gifts))
        assert all(answer.replayed for answer in again)
        assert await balances(client, ben) == (0, 40)
        await prove_books(client)


async def test_a_restart_under_load_is_not_noticed_by_the_shipped_client(
    server: ServerProcess,
) -> None:
    async with giftpay.connect(server.address, timeout=60) as client:
        gifts = await evening(client, deadline_s=60)
        async with gifts.under_way(client):
            for _ in range(3):
                await gifts.until_answered(300)
                async with asyncio.timeout(END_S):
                    assert await server.stop() == 0
                await server.start()
            await gifts.until_answered(300)
        await gifts.prove(client)
    assert not gifts.failures


async def test_a_stream_that_never_ends_gets_a_reason_and_is_cut() -> None:
    async with (
        server_process(GRACE_S="1") as server,
        grpc.aio.insecure_channel(server.address) as channel,
        giftpay.connect(server.address) as client,
    ):
        statuses = aiter(health_pb2_grpc.HealthStub(channel).Watch(HealthCheckRequest()))
        assert (await anext(statuses)).status == HealthCheckResponse.SERVING
        idle = asyncio.ensure_future(anext(aiter(client.gifts.StreamGifts(nothing()))))
        server.send(signal.SIGTERM)
        assert (await anext(statuses)).status == HealthCheckResponse.NOT_SERVING
        async with asyncio.timeout(END_S):
            assert await server.ended() == 0
        with pytest.raises(giftpay.OutcomeUnknown):
            await idle


async def nothing() -> AsyncIterator[StreamGiftsRequest]:
    await asyncio.Event().wait()
    yield StreamGiftsRequest()


def rose(sender_id: str, recipient_id: str) -> SendGiftRequest:
    key = giftpay.new_key()
    return SendGiftRequest(
        idempotency_key=key, sender_id=sender_id, recipient_id=recipient_id, gift_id="rose"
    )


def send_all(
    client: Client, gifts: list[SendGiftRequest]
) -> list[asyncio.Future[SendGiftResponse]]:
    return [asyncio.ensure_future(client.gifts.SendGift(gift)) for gift in gifts]


@asynccontextmanager
async def watching(client: Client, owner_id: str) -> AsyncIterator[None]:
    """Somebody follows the owner's diamonds meanwhile."""

    async def follow() -> None:
        async for _ in client.watch(owner_id, UNIT_DIAMOND):
            pass

    task = asyncio.create_task(follow())
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
