"""Checks before a call is sent: types, sizes, times and metadata."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import giftpay
import pytest
from giftpay.limits import ANSWER_MAX_BYTES, REQUEST_MAX_BYTES
from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    ErasePersonalDataRequest,
    GetWalletRequest,
    GetWalletResponse,
    GiftOutcome,
    OpenWalletRequest,
    SendGiftRequest,
    StreamGiftsRequest,
    WatchEntriesRequest,
)

from tests.client.scripted import ScriptedServer
from tests.client.test_send_gifts import Ledger

MESSAGES: list[tuple[str, str, Any]] = [
    ("admin", "ErasePersonalData", OpenWalletRequest(owner_id="anna")),
    ("admin", "ErasePersonalData", None),
    ("wallets", "GetWallet", "anna"),
    ("wallets", "GetWallet", b""),
    ("wallets", "WatchEntries", GetWalletRequest()),
    ("gifts", "BatchSendGifts", SendGiftRequest()),
    ("gifts", "BatchSendGifts", StreamGiftsRequest()),
]


@pytest.mark.parametrize(("service", "rpc", "message"), MESSAGES)
async def test_a_message_of_another_type_is_refused_before_it_is_sent(
    scripted: ScriptedServer, caller: giftpay.Client, service: str, rpc: str, message: Any
) -> None:
    wanted = rf"{rpc} takes a giftpay\.v1\.{rpc}Request, not a "
    got = message.DESCRIPTOR.full_name if hasattr(message, "DESCRIPTOR") else type(message).__name__
    with pytest.raises(TypeError, match=wanted + got.replace(".", r"\.")):
        getattr(getattr(caller, service), rpc)(message)
    assert not scripted.asked


async def test_blocking_code_checks_types_too(scripted: ScriptedServer) -> None:
    def erase() -> None:
        with giftpay.connect_sync(scripted.address, timeout=3) as client:
            client.admin.ErasePersonalData(OpenWalletRequest(owner_id="anna"))  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"not a giftpay\.v1\.OpenWalletRequest"):
        await asyncio.to_thread(erase)
    assert not scripted.asked


async def test_a_gift_of_another_type_ends_the_sending_of_gifts(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("StreamGifts", Ledger().play)
    gifts: list[Any] = [SendGiftRequest(), GetWalletRequest()]
    outcomes = caller.send_gifts(gifts)
    await anext(outcomes)
    with pytest.raises(TypeError, match=r"send_gifts takes a giftpay\.v1\.SendGiftRequest, not a "):
        await anext(outcomes)


async def test_an_item_of_another_type_ends_a_stream(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def requests() -> AsyncIterator[Any]:
        yield StreamGiftsRequest(gifts=[SendGiftRequest()])
        yield BatchSendGiftsRequest(gifts=[SendGiftRequest()])

    ledger = Ledger()
    scripted.script("StreamGifts", ledger.play)
    with pytest.raises(TypeError, match=r"not a giftpay\.v1\.BatchSendGiftsRequest"):
        async for _ in caller.gifts.StreamGifts(requests()):
            pass
    assert len(ledger.keys) <= 1


async def test_an_invalid_stream_of_requests_is_refused(caller: giftpay.Client) -> None:
    with pytest.raises(TypeError, match="takes an asynchronous iterable, not a list"):
        caller.gifts.StreamGifts([StreamGiftsRequest()])  # type: ignore[arg-type]


async def test_an_unknown_option_is_refused(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    with pytest.raises(TypeError, match="wait_for_ready"):
        await caller.wallets.GetWallet(GetWalletRequest(), wait_for_ready=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="deadline"):
        caller.wallets.WatchEntries(WatchEntriesRequest(), deadline=3)  # type: ignore[call-arg]
    assert not scripted.asked


async def test_a_request_larger_than_the_server_accepts_is_not_sent(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    gifts = [SendGiftRequest(message="x" * 4_200) for _ in range(1_000)]
    with pytest.raises(giftpay.RequestTooLarge, match=f"takes {REQUEST_MAX_BYTES}") as large:
        await caller.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    assert large.value.size > large.value.limit == REQUEST_MAX_BYTES
    assert len(set(large.value.keys)) == 1_000
    assert (large.value.reason, large.value.pinned) == ("", False)
    assert not scripted.asked


async def test_the_largest_answer_to_a_request_is_received(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    outcome = GiftOutcome(idempotency_key="x" * (ANSWER_MAX_BYTES // 1_001))
    scripted.script("BatchSendGifts", BatchSendGiftsResponse(outcomes=[outcome] * 1_000))
    answer = await caller.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=[SendGiftRequest()]))
    assert len(answer.outcomes) == 1_000


async def test_the_server_answers_a_request_just_below_the_limit(client: giftpay.Client) -> None:
    gifts = [SendGiftRequest(idempotency_key="x" * 4_140) for _ in range(1_000)]
    answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    assert all(outcome.HasField("refusal") for outcome in answer.outcomes)


async def test_large_gifts_are_sent_in_messages_within_the_limit(
    client: giftpay.Client,
) -> None:
    gifts = [
        SendGiftRequest(idempotency_key=giftpay.new_key(), message="x" * 9_000)
        for _ in range(1_000)
    ]
    keys = [outcome.idempotency_key async for outcome in client.send_gifts(gifts)]
    assert sorted(keys) == sorted(gift.idempotency_key for gift in gifts)


async def test_a_gift_larger_than_a_message_is_refused(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("StreamGifts", Ledger().play)
    with pytest.raises(giftpay.RequestTooLarge) as large:
        await anext(caller.send_gifts([SendGiftRequest(message="x" * REQUEST_MAX_BYTES)]))
    assert large.value.key
    assert not scripted.asked


NO_TIMES: list[Any] = [0, -1, float("inf"), float("nan"), float("-inf"), 1e300, 10**400]


@pytest.mark.parametrize("given", NO_TIMES)
async def test_an_invalid_timeout_is_refused_at_the_call(
    scripted: ScriptedServer, caller: giftpay.Client, given: Any
) -> None:
    with pytest.raises(ValueError, match="timeout must be a finite number of seconds above 0"):
        giftpay.connect(scripted.address, timeout=given)
    with pytest.raises(ValueError, match="timeout must be"):
        await caller.gifts.SendGift(SendGiftRequest(), timeout=given)
    with pytest.raises(ValueError, match="timeout must be"):
        caller.wallets.WatchEntries(WatchEntriesRequest(), timeout=given)
    assert not scripted.asked


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan")])
def test_an_invalid_wait_is_refused(wait: float) -> None:
    with pytest.raises(ValueError, match="wait must be a finite number of seconds from 0"):
        giftpay.connect("localhost:1", wait=wait)


@pytest.mark.parametrize("timeout", ["3", None, True])
def test_a_time_of_another_type_is_refused(timeout: Any) -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds"):
        giftpay.connect("localhost:1", timeout=timeout)


@pytest.mark.parametrize("connections", [0, -1, 65, 2.0, "2", True])
def test_an_invalid_number_of_connections_is_refused(connections: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="connections must be"):
        giftpay.connect("localhost:1", connections=connections)


@pytest.mark.parametrize(
    ("metadata", "error", "complaint"),
    [
        ([("Tenant", "a")], ValueError, "The metadata 'Tenant'"),
        ([("grpc-timeout", "1S")], ValueError, "The metadata 'grpc-timeout'"),
        ([("", "a")], ValueError, "The metadata ''"),
        ([("tenant", "a\nb")], ValueError, "The metadata 'tenant' must be printable"),
        ([("tenant", "ä")], ValueError, "The metadata 'tenant' must be printable"),
        ([("tenant", b"a")], TypeError, "The metadata 'tenant' must be str, not bytes"),
        ([("tenant-bin", "a")], TypeError, "The metadata 'tenant-bin' must be bytes, not str"),
        ([("tenant", 3)], TypeError, "The metadata 'tenant' must be str, not int"),
        ([(3, "a")], TypeError, "A key of metadata is a text, not 3"),
        ({"tenant": "a"}, TypeError, "pairs of a key and a value, not str"),
        ("tenant", TypeError, "pairs of a key and a value, not str"),
    ],
)
async def test_metadata_that_cannot_be_sent_are_refused_by_name(
    caller: giftpay.Client, metadata: Any, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        giftpay.connect("localhost:1", metadata=metadata)
    with pytest.raises(error, match=complaint):
        await caller.wallets.GetWallet(GetWalletRequest(), metadata=metadata)


def test_a_secret_in_metadata_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="authorization") as refused:
        giftpay.connect("localhost:1", metadata=[("authorization", "Bearer s3cret\n")])
    assert "s3cret" not in str(refused.value)


async def test_a_client_is_usable_after_a_refused_call(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("GetWallet", GetWalletResponse())
    with pytest.raises(TypeError):
        await caller.admin.ErasePersonalData(OpenWalletRequest())  # type: ignore[arg-type]
    await caller.wallets.GetWallet(GetWalletRequest())
    assert ErasePersonalDataRequest() not in scripted.asked["ErasePersonalData"]
