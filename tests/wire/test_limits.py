"""Calls in flight are bounded, a refusal names its bound, and honest calls are still served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import giftpay
import grpc
import pytest
from giftpay.v1 import (
    UNIT_COIN,
    GetWalletRequest,
    SendGiftRequest,
    SendGiftResponse,
    StreamGiftsRequest,
    WatchEntriesRequest,
)
from giftpay_server.config import CallLimits
from giftpay_server.registration import Slice
from giftpay_server.services import HEALTH, REFLECTION
from giftpay_server.slices import SLICES
from giftpay_server.wire.admission import Admission, Place
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import OpenWallet
from tests.wire.conftest import NARROW, Narrow, refused


@dataclass(frozen=True)
class Honest:
    """Who gives to whom."""

    sender_id: str
    recipient_id: str

    def gift(self) -> SendGiftRequest:
        """A gift that is not refused, under a key of its own."""
        return SendGiftRequest(
            idempotency_key=giftpay.new_key(),
            sender_id=self.sender_id,
            recipient_id=self.recipient_id,
            gift_id="rose",
        )


@pytest.fixture
async def honest(open_wallet: OpenWallet) -> Honest:
    return Honest(await open_wallet(coins=10_000), await open_wallet())


async def test_a_call_without_a_message_is_malformed(narrow: Narrow) -> None:
    call = narrow.begin()
    await call.done_writing()
    error = await refused(call)
    assert isinstance(error, giftpay.Malformed)
    assert [field for field, _ in error.violations] == ["request"]


async def test_a_stream_without_a_message_is_over(narrow: Narrow) -> None:
    call: Any = narrow.channel.stream_stream("/giftpay.v1.GiftService/StreamGifts")()
    await call.done_writing()
    assert [response async for response in call] == []


async def test_a_message_that_does_not_come_in_time_is_not_waited_for(
    narrow: Narrow, honest: Honest
) -> None:
    for method in ("GiftService/SendGift", "WalletService/GetWallet", "GiftService/StreamGifts"):
        error = await refused(narrow.begin(f"/giftpay.v1.{method}"))
        assert isinstance(error, giftpay.LimitReached)
        assert (error.setting, error.limit) == ("GIFTPAY_REQUEST_WITHIN_S", "0.5")
        assert error.retry_after > 0
    await narrow.client.gifts.SendGift(honest.gift())


async def test_of_too_many_silent_calls_the_oldest_is_ended(narrow: Narrow, honest: Honest) -> None:
    silent = [narrow.begin()]
    for _ in range(NARROW.unsent_max):
        await asyncio.sleep(0.02)  # they are accepted in this order
        silent.append(narrow.begin())
    error = await refused(silent[0])
    assert isinstance(error, giftpay.LimitReached)
    assert (error.setting, error.limit) == ("GIFTPAY_UNSENT_MAX", "3")
    await silent[-1].write(
        honest.gift().SerializeToString()
    )  # it was silent for a moment, and is served
    await silent[-1].done_writing()
    assert SendGiftResponse.FromString(await silent[-1]).gift.gift_id == "rose"
    for call in silent:
        call.cancel()


async def test_commands_are_refused_where_too_many_are_under_way(
    narrow: Narrow, honest: Honest
) -> None:
    answers = await asyncio.gather(
        *(narrow.client.gifts.SendGift(honest.gift()) for _ in range(12)), return_exceptions=True
    )
    refused = [each for each in answers if isinstance(each, giftpay.LimitReached)]
    assert {(error.setting, error.limit) for error in refused} == {("GIFTPAY_COMMANDS_MAX", "2")}
    assert len([each for each in answers if isinstance(each, SendGiftResponse)]) >= 2
    assert (await narrow.client.gifts.SendGift(honest.gift())).gift.gift_id == "rose"


async def test_reads_wait_for_their_turn_and_are_refused_where_too_many_wait(
    narrow: Narrow, honest: Honest
) -> None:
    asked = GetWalletRequest(owner_id=honest.sender_id)
    answers = await asyncio.gather(
        *(narrow.client.wallets.GetWallet(asked) for _ in range(12)), return_exceptions=True
    )
    refused = [each for each in answers if isinstance(each, giftpay.LimitReached)]
    assert {(error.setting, error.limit) for error in refused} == {
        ("GIFTPAY_READS_WAITING_MAX", "1")
    }
    assert len(answers) - len(refused) >= 2
    await narrow.client.wallets.GetWallet(asked)


async def test_followers_are_refused_where_there_are_too_many(
    narrow: Narrow, honest: Honest
) -> None:
    asked = WatchEntriesRequest(owner_id=honest.sender_id, unit=UNIT_COIN)
    watch: Any = narrow.client.wallets.WatchEntries  # an async generator each
    open_streams = [watch(asked) for _ in range(NARROW.followers_max)]
    for stream in open_streams:
        await anext(stream)
    with pytest.raises(giftpay.LimitReached) as caught:
        await anext(watch(asked))
    assert (caught.value.setting, caught.value.limit) == ("GIFTPAY_FOLLOWERS_MAX", "2")
    await narrow.client.gifts.SendGift(honest.gift())
    for stream in open_streams:
        await stream.aclose()


async def test_gift_streams_are_refused_where_there_are_too_many(
    narrow: Narrow, honest: Honest
) -> None:
    rest = asyncio.Event()

    async def gifts() -> AsyncIterator[StreamGiftsRequest]:
        yield StreamGiftsRequest(gifts=[honest.gift()])
        await rest.wait()

    send: Any = narrow.client.gifts.StreamGifts
    streams = [send(gifts()) for _ in range(NARROW.gift_streams_max)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(giftpay.LimitReached) as caught:
        await anext(send(gifts()))
    assert (caught.value.setting, caught.value.limit) == ("GIFTPAY_GIFT_STREAMS_MAX", "2")
    await narrow.client.gifts.SendGift(honest.gift())
    rest.set()
    for stream in streams:
        assert [response async for response in stream] == []


async def test_health_is_watched_by_so_many_and_asked_by_whoever_comes(narrow: Narrow) -> None:
    stub, asked = health_pb2_grpc.HealthStub(narrow.channel), health_pb2.HealthCheckRequest()
    watching = [stub.Watch(asked) for _ in range(NARROW.tool_calls_max)]
    for stream in watching:
        assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVING
    error = await refused(stub.Watch(asked).read())
    assert isinstance(error, giftpay.LimitReached)
    assert (error.setting, error.limit) == ("GIFTPAY_TOOL_CALLS_MAX", "2")
    assert (await stub.Check(asked)).status == health_pb2.HealthCheckResponse.SERVING
    for stream in watching:
        stream.cancel()


async def test_who_asks_for_the_health_of_no_service_is_told_so(narrow: Narrow) -> None:
    stub, asked = health_pb2_grpc.HealthStub(narrow.channel), health_pb2.HealthCheckRequest()
    asked.service = "giftpay.v1.Nothing"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(asked)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watching = stub.Watch(asked)
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watching.cancel()


def test_each_rpc_is_counted_with_its_kind() -> None:
    admission = Admission(CallLimits())
    kinds: dict[Place, set[str]] = {}
    for service in (*map(service_of, SLICES), HEALTH, REFLECTION):
        for method in service.methods:
            kinds.setdefault(admission.place(method), set()).add(method.name)
    reads = (
        "Get",
        "List",
        "Trace",
        "Verify",
        "Quote",
        "Check",
        "Watch",
        "Stream",
        "ServerReflection",
    )
    [commands] = [names for names in kinds.values() if "SendGift" in names]
    assert not [name for name in commands if name.startswith(reads)]
    others = [names for names in kinds.values() if names is not commands]
    assert not [name for names in others for name in names if not name.startswith(reads)]
    assert {"StreamGifts"} in others
    assert {"WatchEntries"} in others
    for name in ("GetWallet", "ListEntries", "GetTransaction"):  # none waits for another
        assert {name} in others


def service_of(registered: Slice) -> ServiceDescriptor:
    name = f"giftpay.v1.{registered.service_name}"
    found: ServiceDescriptor = Default().FindServiceByName(name)  # type: ignore[no-untyped-call]
    return found
