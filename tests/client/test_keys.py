"""Idempotency keys: set once, before the first attempt, on the caller's request."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import giftpay
import pytest
from giftpay.keys import command_finder
from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    GetTransactionRequest,
    GetTransactionResponse,
    SendGiftRequest,
    SendGiftResponse,
    StreamGiftsRequest,
    StreamGiftsResponse,
)
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from tests.client.scripted import Context, ScriptedServer
from tests.client.test_public_api import SERVICES

READS = ("Get", "List", "Watch", "Quote", "Verify", "Trace")


def test_a_key_is_a_uuid_of_version_7() -> None:
    key = UUID(giftpay.new_key())
    assert (key.version, key.variant) == (7, "specified in RFC 4122")
    assert str(key) == str(UUID(str(key)))


def test_keys_rise_strictly_within_a_process() -> None:
    keys = [giftpay.new_key() for _ in range(10_000)]
    assert keys == sorted(set(keys))


def test_keys_of_many_threads_differ() -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: giftpay.new_key(), range(4_000)))
    assert len(set(keys)) == 4_000


def test_keys_rise_even_if_the_clock_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = giftpay.new_key()
    monkeypatch.setattr("giftpay.keys.time.time_ns", lambda: 0)
    assert giftpay.new_key() > before


@pytest.mark.parametrize(
    "rpc", [rpc for service in SERVICES for rpc in service.methods], ids=lambda rpc: rpc.name
)
def test_every_command_carries_a_key_and_no_read_does(rpc: MethodDescriptor) -> None:
    is_read = rpc.name.startswith(READS)
    assert (command_finder(GetMessageClass(rpc.input_type)) is None) == is_read


async def test_a_request_without_a_key_gets_one_and_keeps_it(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("SendGift", SendGiftResponse())
    request = SendGiftRequest(sender_id="anna")
    await caller.gifts.SendGift(request)
    await caller.gifts.SendGift(request)
    first, second = scripted.asked["SendGift"]
    assert UUID(request.idempotency_key).version == 7
    assert first == second == request


async def test_a_key_that_is_set_is_kept(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    scripted.script("SendGift", SendGiftResponse())
    request = SendGiftRequest(idempotency_key="order 17")
    await caller.gifts.SendGift(request)
    assert request.idempotency_key == "order 17"
    assert scripted.asked["SendGift"] == [request]


async def test_one_request_sent_twice_at_once_has_one_key(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("SendGift", SendGiftResponse())
    request = SendGiftRequest()
    await asyncio.gather(caller.gifts.SendGift(request), caller.gifts.SendGift(request))
    assert len({asked.idempotency_key for asked in scripted.asked["SendGift"]}) == 1


async def test_each_gift_of_a_batch_gets_a_key(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", BatchSendGiftsResponse())
    batch = BatchSendGiftsRequest(
        gifts=[SendGiftRequest(idempotency_key="mine")] + [SendGiftRequest()] * 2
    )
    await caller.gifts.BatchSendGifts(batch)
    keys = [gift.idempotency_key for gift in batch.gifts]
    assert keys[0] == "mine"
    assert len(set(keys)) == 3
    assert scripted.asked["BatchSendGifts"] == [batch]


async def test_each_gift_of_a_stream_gets_a_key(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    seen: list[str] = []

    async def play(requests: AsyncIterator[Any], _: Context) -> AsyncIterator[StreamGiftsResponse]:
        async for request in requests:
            seen.extend(gift.idempotency_key for gift in request.gifts)
            yield StreamGiftsResponse()

    async def requests() -> AsyncIterator[StreamGiftsRequest]:
        yield StreamGiftsRequest(gifts=[SendGiftRequest(), SendGiftRequest()])

    scripted.script("StreamGifts", play)
    assert [answer async for answer in caller.gifts.StreamGifts(requests())]
    assert len(set(seen)) == 2
    assert all(seen)


async def test_reading_by_a_key_does_not_set_one(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("GetTransaction", GetTransactionResponse())
    request = GetTransactionRequest(transaction_id="x")
    await caller.wallets.GetTransaction(request)
    assert not request.HasField("idempotency_key")
