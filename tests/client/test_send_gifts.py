"""Streaming gifts: an outcome for each, even if streams are lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import giftpay
import pytest
from giftpay.v1 import (
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_OVERLOADED,
    ERROR_REASON_SHUTTING_DOWN,
    ErrorReason,
    Gift,
    GiftOutcome,
    Refusal,
    SendGiftRequest,
    StreamGiftsRequest,
    StreamGiftsResponse,
)
from grpc import StatusCode

from tests.client.scripted import BROKEN, PERMANENT, Context, ScriptedServer, ended, refusal_status

Requests = AsyncIterator[StreamGiftsRequest]


def gifts(count: int) -> list[SendGiftRequest]:
    return [SendGiftRequest(sender_id="anna", count=number + 1) for number in range(count)]


def sent(*gifts: SendGiftRequest) -> StreamGiftsResponse:
    """An answer with the outcomes of gifts that were sent."""
    outcomes = [
        GiftOutcome(idempotency_key=gift.idempotency_key, gift=Gift(count=gift.count))
        for gift in gifts
    ]
    return StreamGiftsResponse(outcomes=outcomes)


def refused(gift: SendGiftRequest, reason: ErrorReason.ValueType) -> StreamGiftsResponse:
    outcome = GiftOutcome(idempotency_key=gift.idempotency_key, refusal=Refusal(reason=reason))
    return StreamGiftsResponse(outcomes=[outcome])


class Ledger:
    """Answers every gift; each stream is lost after a number of gifts."""

    def __init__(self, *lost_after: int) -> None:
        self.keys: list[str] = []  # as received, repeated ones included
        self.messages: list[int] = []
        self._lost_after = list(lost_after)

    async def play(
        self, requests: Requests, context: Context
    ) -> AsyncIterator[StreamGiftsResponse]:
        left = self._lost_after.pop(0) if self._lost_after else None
        async for request in requests:
            self.messages.append(len(request.gifts))
            for gift in request.gifts:
                self.keys.append(gift.idempotency_key)
                if left == 0:
                    await context.abort(StatusCode.UNAVAILABLE, "as scripted")
                yield sent(gift)
                left = None if left is None else left - 1


async def test_every_gift_has_its_outcome(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    ledger = Ledger()
    scripted.script("StreamGifts", ledger.play)
    sending = gifts(2500)
    outcomes = [outcome async for outcome in caller.send_gifts(sending)]
    assert [outcome.gift.count for outcome in outcomes] == list(range(1, 2501))
    assert [outcome.idempotency_key for outcome in outcomes] == ledger.keys
    assert ledger.keys == [gift.idempotency_key for gift in sending]


async def test_queued_gifts_share_a_message(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    ledger = Ledger()
    scripted.script("StreamGifts", ledger.play)
    assert len([outcome async for outcome in caller.send_gifts(gifts(500))]) == 500
    assert max(ledger.messages) <= 1000
    assert len(ledger.messages) < 50


async def test_a_lost_stream_is_replaced_and_only_the_undecided_are_sent_again(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    ledger = Ledger(3, 0, 4)
    scripted.script("StreamGifts", ledger.play)
    sending = gifts(10)
    outcomes = [outcome async for outcome in caller.send_gifts(sending)]
    assert sorted(outcome.gift.count for outcome in outcomes) == list(range(1, 11))
    keys = [gift.idempotency_key for gift in sending]
    assert ledger.keys == [*keys[:4], keys[3], *keys[3:8], *keys[7:]]


@pytest.mark.parametrize("code", BROKEN)
async def test_a_stream_that_broke_off_is_replaced(
    scripted: ScriptedServer, caller: giftpay.Client, code: StatusCode
) -> None:
    ledger = Ledger()
    scripted.script("StreamGifts", code, code, ledger.play)
    assert len([outcome async for outcome in caller.send_gifts(gifts(3))]) == 3


@pytest.mark.parametrize("code", PERMANENT)
async def test_a_stream_with_a_permanent_failure_is_not_replaced(
    scripted: ScriptedServer, caller: giftpay.Client, code: StatusCode
) -> None:
    scripted.script("StreamGifts", code)
    sending = gifts(2)
    with pytest.raises(giftpay.OutcomeUnknown) as unknown:
        await anext(caller.send_gifts(sending))
    assert unknown.value.code is code
    assert unknown.value.keys == tuple(gift.idempotency_key for gift in sending)
    assert len(scripted.asked["StreamGifts"]) == 1


async def test_a_gift_with_an_undecided_outcome_is_sent_again(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def stopping(requests: Requests, _: Context) -> AsyncIterator[StreamGiftsResponse]:
        request = await anext(requests)
        yield sent(*request.gifts[:1])
        yield refused(request.gifts[1], ERROR_REASON_SHUTTING_DOWN)
        await asyncio.sleep(30)

    ledger = Ledger()
    scripted.script("StreamGifts", stopping, ledger.play)
    sending = gifts(3)
    outcomes = [outcome async for outcome in caller.send_gifts(sending)]
    assert [outcome.gift.count for outcome in outcomes] == [1, 2, 3]
    assert ledger.keys == [gift.idempotency_key for gift in sending[1:]]


@pytest.mark.parametrize("reason", [ERROR_REASON_INSUFFICIENT_COINS, ERROR_REASON_OVERLOADED])
async def test_a_refused_gift_is_an_outcome_and_affects_no_other(
    scripted: ScriptedServer, caller: giftpay.Client, reason: ErrorReason.ValueType
) -> None:
    async def play(requests: Requests, _: Context) -> AsyncIterator[StreamGiftsResponse]:
        async for request in requests:
            for gift in request.gifts:
                yield refused(gift, reason) if gift.count == 2 else sent(gift)

    scripted.script("StreamGifts", play)
    outcomes = [outcome async for outcome in caller.send_gifts(gifts(3))]
    assert [outcome.WhichOneof("outcome") for outcome in outcomes] == ["gift", "refusal", "gift"]
    assert len(scripted.asked["StreamGifts"]) == 1


async def test_no_more_gifts_than_the_window_are_in_flight(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    taken = 0

    def source() -> Iterator[SendGiftRequest]:
        nonlocal taken
        for gift in gifts(20):
            taken += 1
            yield gift

    scripted.script("StreamGifts", Ledger().play)
    seen = 0
    async for _ in caller.send_gifts(source(), window=4):
        seen += 1
        assert taken <= seen + 4
        await asyncio.sleep(0.01)  # a slow reader
    assert seen == taken == 20


async def test_gifts_are_sent_as_they_arrive(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    arrived = asyncio.Event()

    async def source() -> AsyncIterator[SendGiftRequest]:
        first, second = gifts(2)
        yield first
        await arrived.wait()  # it is decided before the next is yielded
        yield second

    scripted.script("StreamGifts", Ledger().play)
    counts = []
    async for outcome in caller.send_gifts(source()):
        counts.append(outcome.gift.count)
        arrived.set()
    assert counts == [1, 2]


async def test_without_gifts_no_stream_is_opened(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    assert [outcome async for outcome in caller.send_gifts([])] == []
    assert not scripted.asked


async def test_a_server_that_decides_nothing_leaves_the_outcomes_unknown(
    scripted: ScriptedServer,
) -> None:
    async def mute(requests: Requests, _: Context) -> AsyncIterator[StreamGiftsResponse]:
        request = await anext(requests)
        yield sent(*request.gifts[:1])
        await asyncio.sleep(30)

    scripted.script("StreamGifts", mute)
    sending = gifts(3)
    async with giftpay.connect(scripted.address, timeout=0.5) as caller:
        outcomes = caller.send_gifts(sending)
        seen = [await anext(outcomes)]
        with pytest.raises(giftpay.OutcomeUnknown) as unknown:
            await anext(outcomes)
    assert [outcome.gift.count for outcome in seen] == [1]
    assert unknown.value.keys == tuple(gift.idempotency_key for gift in sending[1:])


async def test_an_unreachable_server_leaves_the_outcomes_unknown(
    scripted: ScriptedServer,
) -> None:
    scripted.script("StreamGifts", StatusCode.UNAVAILABLE)
    [gift] = gifts(1)
    async with giftpay.connect(scripted.address, timeout=0.4) as caller:
        with pytest.raises(giftpay.OutcomeUnknown) as unknown:
            await anext(caller.send_gifts([gift]))
    assert unknown.value.key == gift.idempotency_key
    assert "UNAVAILABLE: as scripted" in unknown.value.message
    assert len(scripted.asked["StreamGifts"]) > 1


async def test_a_refusal_of_the_stream_names_the_undecided_keys(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script(
        "StreamGifts", refusal_status(StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", right="x")
    )
    [gift] = gifts(1)
    with pytest.raises(giftpay.PermissionDenied) as denied:
        await anext(caller.send_gifts([gift]))
    assert denied.value.key == gift.idempotency_key


async def test_an_error_of_the_iterable_is_raised_after_the_earlier_outcomes(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    def source() -> Iterator[SendGiftRequest]:
        yield from gifts(2)
        raise LookupError("no third")

    scripted.script("StreamGifts", Ledger().play)
    outcomes = caller.send_gifts(source())
    assert [(await anext(outcomes)).gift.count for _ in range(2)] == [1, 2]
    with pytest.raises(LookupError, match="no third"):
        await anext(outcomes)


async def test_one_key_twice_in_flight_is_an_error(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("StreamGifts", Ledger().play)
    twins = [SendGiftRequest(idempotency_key="same") for _ in range(2)]
    with pytest.raises(ValueError, match="same"):
        assert [outcome async for outcome in caller.send_gifts(twins)]


async def test_an_idle_stream_stays_open(scripted: ScriptedServer) -> None:
    async def source() -> AsyncIterator[SendGiftRequest]:
        for gift in gifts(2):
            yield gift
            await asyncio.sleep(0.6)  # longer than the server may take to answer

    scripted.script("StreamGifts", Ledger().play)
    async with giftpay.connect(scripted.address, timeout=0.3) as caller:
        assert len([outcome async for outcome in caller.send_gifts(source())]) == 2
    assert len(scripted.asked["StreamGifts"]) == 1


async def test_closing_the_client_without_a_stream_leaves_the_outcomes_unknown(
    scripted: ScriptedServer,
) -> None:
    scripted.script("StreamGifts", StatusCode.UNAVAILABLE)
    [gift] = gifts(1)
    async with giftpay.connect(scripted.address) as caller:
        sending = asyncio.create_task(anext(caller.send_gifts([gift])))
        await asyncio.sleep(0.2)
    with pytest.raises(giftpay.OutcomeUnknown, match="closed") as unknown:
        await sending
    assert unknown.value.key == gift.idempotency_key


async def lost_after_a_message(
    requests: Requests, context: Context
) -> AsyncIterator[StreamGiftsResponse]:
    await anext(requests)
    await context.abort(StatusCode.UNAVAILABLE, "as scripted")
    yield StreamGiftsResponse()


async def test_a_no_to_the_next_stream_does_not_tell_what_became_of_the_lost_one(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    full = refusal_status(StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", setting="x", limit=1)
    scripted.script("StreamGifts", lost_after_a_message, full)
    [gift] = gifts(1)
    with pytest.raises(giftpay.OutcomeUnknown) as unknown:
        await anext(caller.send_gifts([gift]))
    assert unknown.value.key == gift.idempotency_key
    assert unknown.value.reason == "ERROR_REASON_LIMIT_REACHED"


async def test_a_no_to_a_message_does_not_tell_what_became_of_those_before_it(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def refuse_the_second(
        requests: Requests, context: Context
    ) -> AsyncIterator[StreamGiftsResponse]:
        await anext(requests)
        await anext(requests)
        await ended(refusal_status(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"), context)
        yield StreamGiftsResponse()

    async def one_by_one() -> AsyncIterator[SendGiftRequest]:
        for gift in sending:
            yield gift
            await asyncio.sleep(0.1)

    scripted.script("StreamGifts", refuse_the_second)
    sending = gifts(2)
    with pytest.raises(giftpay.OutcomeUnknown) as unknown:
        await anext(caller.send_gifts(one_by_one()))
    assert unknown.value.keys == tuple(gift.idempotency_key for gift in sending)


async def test_a_source_whose_own_work_is_cancelled_lets_nobody_wait(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def source() -> AsyncIterator[SendGiftRequest]:
        yield gifts(1)[0]
        raise asyncio.CancelledError

    scripted.script("StreamGifts", Ledger().play)
    outcomes = caller.send_gifts(source())
    assert (await asyncio.wait_for(anext(outcomes), 5)).gift.count == 1
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(anext(outcomes), 5)


@pytest.mark.parametrize("window", [0, -1, 100_001])
async def test_a_window_that_lets_nothing_through_or_everything_is_refused(
    scripted: ScriptedServer, caller: giftpay.Client, window: int
) -> None:
    with pytest.raises(ValueError, match="window must be 1 to 100000"):
        caller.send_gifts(gifts(1), window=window)

    def send() -> None:
        with giftpay.connect_sync(scripted.address) as blocking:
            blocking.send_gifts(gifts(1), window=window)

    with pytest.raises(ValueError, match="window must be 1 to 100000"):
        await asyncio.to_thread(send)
