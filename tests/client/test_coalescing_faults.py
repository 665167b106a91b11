"""Coalesced calls whose batch is not answered, and callers that leave."""

import asyncio
from functools import partial
from typing import Any

import giftpay
import pytest
from giftpay.v1 import (
    ERROR_REASON_ACCOUNT_BUSY,
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    ErrorReason,
    Refusal,
)
from grpc import StatusCode

from tests.client.coalesced import (
    OVERLOADED,
    Gate,
    all_but,
    batch,
    calls,
    ends,
    gifts,
    hang,
    single,
)
from tests.client.scripted import Context, ScriptedServer, Step, refusal_status


@pytest.mark.parametrize(
    "refused",
    [
        OVERLOADED,
        refusal_status(StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", limit="gifts"),
        refusal_status(StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
        refusal_status(
            StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field="gifts", limit="1..10 items"
        ),
        refusal_status(StatusCode.INTERNAL, "INTERNAL", incident="5f0e6c1a"),
        StatusCode.UNAVAILABLE,
        StatusCode.CANCELLED,
        StatusCode.UNIMPLEMENTED,
        StatusCode.UNKNOWN,
        BatchSendGiftsResponse(),
    ],
    ids=str,
)
async def test_gifts_of_an_unanswered_batch_are_sent_alone_with_the_same_keys(
    scripted: ScriptedServer, coalescing: giftpay.Client, refused: Step
) -> None:
    scripted.script("BatchSendGifts", refused)
    scripted.script("SendGift", single)
    sending = gifts(5)
    assert await ends(coalescing, sending) == [1, 2, 3, 4, 5]
    assert sorted(scripted.asked["SendGift"], key=lambda gift: gift.count) == sending
    assert len(scripted.asked["BatchSendGifts"]) == 1


async def test_overloaded_after_an_overloaded_batch_is_raised_as_it_is(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", OVERLOADED)
    scripted.script("SendGift", OVERLOADED)
    assert {type(error) for error in await ends(coalescing, gifts(3))} == {giftpay.Overloaded}


@pytest.mark.parametrize(
    "lost",
    [
        StatusCode.UNAVAILABLE,
        refusal_status(StatusCode.INTERNAL, "INTERNAL"),
        StatusCode.UNIMPLEMENTED,
    ],
)
async def test_overloaded_after_a_lost_batch_is_an_unknown_outcome(
    scripted: ScriptedServer, coalescing: giftpay.Client, lost: Step
) -> None:
    scripted.script("BatchSendGifts", lost)
    scripted.script("SendGift", OVERLOADED)
    errors = await ends(coalescing, gifts(3))
    assert {type(error) for error in errors} == {giftpay.OutcomeUnknown}
    assert [error.keys for error in errors if isinstance(error, giftpay.GiftpayError)] == [
        ("k1",), ("k2",), ("k3",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reason", ["DATABASE_UNAVAILABLE", "ACCOUNT_BUSY", "SHUTTING_DOWN", "CLOCK_SKEW"]
)
async def test_an_undecided_outcome_is_retried_alone(
    scripted: ScriptedServer, coalescing: giftpay.Client, reason: str
) -> None:
    undecided = Refusal(reason=ErrorReason.Value(f"ERROR_REASON_{reason}"))
    scripted.script("BatchSendGifts", all_but(1, undecided))
    scripted.script("SendGift", StatusCode.UNAVAILABLE, single)
    assert await ends(coalescing, gifts(3)) == [1, 2, 3]
    assert [gift.idempotency_key for gift in scripted.asked["SendGift"]] == ["k2", "k2"]


async def test_an_outcome_that_stays_undecided_is_unknown_with_its_reason(
    scripted: ScriptedServer,
) -> None:
    undecided = Refusal(reason=ERROR_REASON_ACCOUNT_BUSY, metadata={"owner_id": "ben"})
    scripted.script("BatchSendGifts", all_but(0, undecided))
    scripted.script(
        "SendGift", refusal_status(StatusCode.UNAVAILABLE, "ACCOUNT_BUSY", owner_id="ben")
    )
    async with giftpay.connect(scripted.address, timeout=0.4, coalesce=True) as client:
        error, second = await ends(client, gifts(2))
    assert isinstance(error, giftpay.OutcomeUnknown)
    assert (error.reason, error.code) == ("ERROR_REASON_ACCOUNT_BUSY", StatusCode.UNAVAILABLE)
    assert (error.metadata, error.keys) == ({"owner_id": "ben"}, ("k1",))
    assert second == 2


async def test_a_deadline_is_each_callers_own(scripted: ScriptedServer) -> None:
    scripted.script("BatchSendGifts", hang)
    async with giftpay.connect(scripted.address, timeout=0.5, coalesce=True) as client:
        early = calls(client, gifts(4)[:2])
        await asyncio.sleep(0.3)
        late = calls(client, gifts(4)[2:])
        with pytest.raises(giftpay.OutcomeUnknown) as unknown:
            await early[0]
        assert unknown.value.code is StatusCode.DEADLINE_EXCEEDED
        assert unknown.value.keys == ("k1",)
        assert not any(call.done() for call in late)
        with pytest.raises(giftpay.OutcomeUnknown) as unknown:
            await late[1]
        assert unknown.value.keys == ("k4",)
        await asyncio.gather(*early, *late, return_exceptions=True)


async def test_the_gift_of_a_caller_that_left_is_not_sent(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", batch)
    one, two, three = calls(coalescing, gifts(3))
    await asyncio.sleep(0)
    two.cancel()
    assert [(await call).gift.count for call in (one, three)] == [1, 3]
    assert two.cancelled()
    [asked] = scripted.asked["BatchSendGifts"]
    assert [gift.count for gift in asked.gifts] == [1, 3]


async def test_a_caller_that_leaves_during_the_batch_does_not_affect_others(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    gate = Gate(batch)
    scripted.script("BatchSendGifts", gate)
    one, two, three = calls(coalescing, gifts(3))
    await gate.entered.wait()
    two.cancel()
    gate.opened.set()
    assert [(await call).gift.count for call in (one, three)] == [1, 3]
    assert two.cancelled()
    [asked] = scripted.asked["BatchSendGifts"]
    assert len(asked.gifts) == 3


async def test_a_single_caller_that_leaves_frees_its_slot(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", batch)
    for gift in gifts(5):
        gate = Gate(hang)
        scripted.script("SendGift", gate)
        [call] = calls(coalescing, [gift])
        await gate.entered.wait()
        call.cancel()
        await asyncio.wait([call])
    assert await ends(coalescing, gifts(2)) == [1, 2]


async def test_a_slow_batch_delays_its_own_and_later_gifts_only_briefly(
    scripted: ScriptedServer,
) -> None:
    scripted.script("BatchSendGifts", hang, batch)
    scripted.script("SendGift", single)
    async with giftpay.connect(scripted.address, timeout=20, coalesce=True) as client:
        in_flight = calls(client, gifts(2))
        await asyncio.sleep(0.05)
        in_flight += calls(client, gifts(4)[2:])
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*in_flight)
    assert [answer.gift.count for answer in answers] == [1, 2, 3, 4]
    assert {gift.count for gift in scripted.asked["SendGift"]} == {1, 2}


async def test_a_server_that_is_typically_slow_gets_no_second_call(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    async def batch_after(seconds: float, request: BatchSendGiftsRequest, context: Context) -> Any:
        await asyncio.sleep(seconds)
        return await batch(request, context)

    usual, slower = partial(batch_after, 0.3), partial(batch_after, 1.2)
    scripted.script("BatchSendGifts", *[usual] * 5, slower)
    for _ in range(6):
        assert await ends(coalescing, gifts(2)) == [1, 2]
    assert not scripted.asked["SendGift"]


async def test_closing_the_client_ends_calls_in_flight_and_waiting_ones(
    scripted: ScriptedServer,
) -> None:
    scripted.script("BatchSendGifts", hang)
    async with giftpay.connect(scripted.address, timeout=20, coalesce=True) as client:
        in_flight = calls(client, gifts(2))
        await asyncio.sleep(0.1)
        in_flight += calls(client, gifts(4)[2:])
        await asyncio.sleep(0)
    ended = await asyncio.gather(*in_flight, return_exceptions=True)
    for number, error in enumerate(ended, start=1):
        assert isinstance(error, giftpay.OutcomeUnknown)
        assert error.keys == (f"k{number}",)
        assert "closed" in error.message
