"""A full queue: refused at once, nothing of it taken, and the same key is good again later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import BatchSendGiftsRequest, GetTransactionRequest, SendGiftRequest
from giftpay_server.app import Running, serving
from giftpay_server.config import Config, Limits
from giftpay_server.postgres.pool import Pool
from grpc import StatusCode

from tests.conftest import OpenWallet
from tests.stories.blocking import blocked, round_trips
from tests.stories.wallets import balances, open_wallet

QUEUE_MAX = 4


@pytest.fixture
async def small_server(dsn: str) -> AsyncIterator[Running]:
    """A server in which four commands may wait, over the shared database."""
    limits = Limits(queue_max=QUEUE_MAX, wait_max_s=60)
    config = Config(database_url=dsn, listen="127.0.0.1:0", limits=limits)
    async with serving(config) as server:
        yield server


@pytest.fixture
async def narrow(client: Client, small_server: Running) -> AsyncIterator[Client]:
    async with giftpay.connect(small_server.address) as narrow:
        await open_wallet(narrow)  # so that its journal has a session to freeze
        yield narrow


async def has_load(server: Running, *, queued: int) -> None:
    """Returns once so many commands are queued behind a batch in flight."""
    async with asyncio.timeout(5):
        while server.parts.journal.load != (queued, 1):  # noqa: ASYNC110 - for the test alone
            await asyncio.sleep(0.001)


def roses(sender_id: str, recipient_id: str, number: int) -> list[SendGiftRequest]:
    return [
        SendGiftRequest(
            idempotency_key=giftpay.new_key(),
            sender_id=sender_id,
            recipient_id=recipient_id,
            gift_id="rose",
        )
        for _ in range(number)
    ]


async def test_what_finds_the_queue_full_is_refused_at_once_and_never_decided(
    narrow: Client, small_server: Running, pool: Pool, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()
    taken, last, too_late = roses(anna, ben, 3)
    three, two = roses(anna, ben, 3), roses(anna, ben, 2)
    async with blocked(pool):
        waiting = [asyncio.ensure_future(narrow.gifts.SendGift(taken))]
        await has_load(small_server, queued=0)
        whole = asyncio.ensure_future(batch(narrow, three))
        await has_load(small_server, queued=3)
        assert (await refused(batch(narrow, two))).queued == 3  # though one of them would fit
        waiting.append(asyncio.ensure_future(narrow.gifts.SendGift(last)))
        await has_load(small_server, queued=4)
        assert (await refused(narrow.gifts.SendGift(too_late))).queued == 4
    assert not any(answer.replayed for answer in await asyncio.gather(*waiting))
    assert await whole == [False] * 3
    for request in (too_late, *two):
        named = GetTransactionRequest(idempotency_key=request.idempotency_key)
        with pytest.raises(giftpay.TransactionNotFound):
            await narrow.wallets.GetTransaction(named)
    assert await balances(narrow, ben) == (0, 5)
    assert not (await narrow.gifts.SendGift(too_late)).replayed
    assert await batch(narrow, two) == [False] * 2
    assert await balances(narrow, ben) == (0, 8)


async def test_a_stream_that_finds_the_queue_full_waits(
    narrow: Client, small_server: Running, pool: Pool, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()
    (taken,), fill, streamed = (roses(anna, ben, number) for number in (1, QUEUE_MAX, 20))
    async with blocked(pool):
        first = asyncio.ensure_future(narrow.gifts.SendGift(taken))
        await has_load(small_server, queued=0)
        waiting = asyncio.ensure_future(batch(narrow, fill))
        await has_load(small_server, queued=QUEUE_MAX)
        stream = asyncio.ensure_future(replays(narrow, streamed))
        await round_trips(narrow, anna)
        assert (await refused(batch(narrow, roses(anna, ben, 1)))).queued == QUEUE_MAX
        assert not stream.done()
    assert not (await first).replayed
    assert await waiting == [False] * QUEUE_MAX
    assert await stream == [False] * 20
    assert await balances(narrow, ben) == (0, 21 + QUEUE_MAX)


async def batch(client: Client, gifts: list[SendGiftRequest]) -> list[bool]:
    """Whether each is a replay."""
    answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    return [outcome.replayed for outcome in answer.outcomes if outcome.HasField("gift")]


async def replays(client: Client, gifts: list[SendGiftRequest]) -> list[bool]:
    """Whether each is a replay."""
    outcomes = [outcome async for outcome in client.send_gifts(gifts)]
    return [outcome.replayed for outcome in outcomes if outcome.HasField("gift")]


async def refused(call: Awaitable[object]) -> giftpay.Overloaded:
    with pytest.raises(giftpay.Overloaded) as overloaded:
        await call
    assert overloaded.value.code is StatusCode.RESOURCE_EXHAUSTED
    assert overloaded.value.retry_after > 0
    return overloaded.value
