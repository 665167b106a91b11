"""Which calls are retried, and which never are."""

import asyncio

import giftpay
import pytest
from giftpay.unary import BACKOFF_MAX_S, backoff_s
from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    GetWalletRequest,
    GetWalletResponse,
    SendGiftRequest,
    SendGiftResponse,
)
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from tests.client.scripted import (
    BROKEN,
    PERMANENT,
    Context,
    ScriptedServer,
    refusal_status,
    serving,
)


async def test_a_call_is_retried_with_the_same_bytes_while_unavailable(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script(
        "SendGift", StatusCode.UNAVAILABLE, StatusCode.UNAVAILABLE, SendGiftResponse(replayed=True)
    )
    request = SendGiftRequest(sender_id="anna", recipient_id="ben", gift_id="rose")

    answer = await caller.gifts.SendGift(request)

    assert answer.replayed
    assert scripted.asked["SendGift"] == [request] * 3
    assert request.idempotency_key


async def test_later_changes_to_the_request_are_not_sent(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("SendGift", StatusCode.UNAVAILABLE, StatusCode.UNAVAILABLE, SendGiftResponse())
    request = SendGiftRequest(gift_id="rose")

    call = asyncio.ensure_future(caller.gifts.SendGift(request))
    request.gift_id = "lion-dance"
    await call

    assert {asked.gift_id for asked in scripted.asked["SendGift"]} == {"rose"}


@pytest.mark.parametrize("code", BROKEN)
async def test_a_call_that_broke_off_is_retried(
    scripted: ScriptedServer, caller: giftpay.Client, code: StatusCode
) -> None:
    scripted.script("SendGift", code, SendGiftResponse())
    await caller.gifts.SendGift(SendGiftRequest())
    first, second = scripted.asked["SendGift"]
    assert first == second


async def test_a_read_is_retried_too(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    scripted.script("GetWallet", StatusCode.UNAVAILABLE, GetWalletResponse())
    await caller.wallets.GetWallet(GetWalletRequest(owner_id="anna"))
    assert len(scripted.asked["GetWallet"]) == 2


@pytest.mark.parametrize("code", PERMANENT)
async def test_a_permanent_failure_is_not_retried(
    scripted: ScriptedServer, caller: giftpay.Client, code: StatusCode
) -> None:
    scripted.script("SendGift", code)
    with pytest.raises(giftpay.OutcomeUnknown):
        await caller.gifts.SendGift(SendGiftRequest())
    assert len(scripted.asked["SendGift"]) == 1


async def test_a_message_that_is_too_large_is_not_sent_again(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def refuse(_: SendGiftRequest, context: Context) -> None:
        await context.abort(
            StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)"
        )

    scripted.script("SendGift", refuse)
    with pytest.raises(giftpay.OutcomeUnknown):
        await caller.gifts.SendGift(SendGiftRequest())
    assert len(scripted.asked["SendGift"]) == 1


async def test_a_call_is_not_retried_when_overloaded(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script(
        "SendGift", refusal_status(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", queued=8192)
    )
    with pytest.raises(giftpay.Overloaded) as refused:
        await caller.gifts.SendGift(SendGiftRequest())
    assert refused.value.queued == 8192
    assert len(scripted.asked["SendGift"]) == 1


async def test_an_undecided_refusal_after_a_lost_attempt_is_an_unknown_outcome(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    request = SendGiftRequest()
    overloaded = refusal_status(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", queued=8192)
    scripted.script("SendGift", StatusCode.UNAVAILABLE, overloaded)
    with pytest.raises(giftpay.OutcomeUnknown) as unknown:
        await caller.gifts.SendGift(request)
    assert unknown.value.key == request.idempotency_key


async def test_a_pinned_refusal_after_a_lost_attempt_is_the_outcome(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    short = refusal_status(
        StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_COINS", available=1, required=5
    )
    scripted.script("SendGift", StatusCode.UNAVAILABLE, short)
    with pytest.raises(giftpay.InsufficientCoins):
        await caller.gifts.SendGift(SendGiftRequest())


async def test_a_call_outlives_a_restart_of_the_server() -> None:
    script = ScriptedServer()
    script.script("SendGift", SendGiftResponse())
    async with serving(script):
        connecting = giftpay.connect(script.address, timeout=8)
        client = await connecting.__aenter__()
        await client.gifts.SendGift(SendGiftRequest())
    call = asyncio.ensure_future(client.gifts.SendGift(SendGiftRequest()))
    await asyncio.sleep(0.5)
    async with serving(script, script.address):
        await call
        await connecting.__aexit__(None, None, None)
    assert len(script.asked["SendGift"]) == 2


async def test_each_gift_of_a_batch_keeps_its_key(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", StatusCode.UNAVAILABLE, BatchSendGiftsResponse())
    batch = BatchSendGiftsRequest(
        gifts=[SendGiftRequest(idempotency_key="mine"), SendGiftRequest()]
    )
    await caller.gifts.BatchSendGifts(batch)
    first, second = scripted.asked["BatchSendGifts"]
    assert first == second == batch
    assert first.gifts[0].idempotency_key == "mine"
    assert first.gifts[1].idempotency_key


async def test_a_cancelled_caller_gets_a_cancelled_error(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    asked = asyncio.Event()

    async def hang(_: SendGiftRequest, __: Context) -> None:
        asked.set()
        await asyncio.sleep(10)

    scripted.script("SendGift", hang)
    call = asyncio.ensure_future(caller.gifts.SendGift(SendGiftRequest()))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@given(st.integers(min_value=0, max_value=10_000))
def test_the_wait_between_attempts_stays_within_its_bound(failures: int) -> None:
    assert 0 <= backoff_s(failures) <= min(BACKOFF_MAX_S, 0.05 * 2 ** min(failures, 10))


def test_the_wait_has_jitter() -> None:
    assert len({backoff_s(5) for _ in range(10)}) > 1
