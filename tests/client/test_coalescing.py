"""Concurrent SendGift calls are one batch; each call gets its own answer."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import giftpay
import pytest
from giftpay.v1 import (
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_INVALID_ARGUMENT,
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    GetWalletRequest,
    Gift,
    GiftOutcome,
    Refusal,
    SendGiftRequest,
    SendGiftResponse,
)
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from tests.client.coalesced import Gate, all_but, batch, calls, ends, gifts, single
from tests.client.scripted import ScriptedServer, refusal_status


async def test_concurrent_calls_are_one_batch(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", batch)
    sending = gifts(64)
    assert await ends(coalescing, sending) == list(range(1, 65))
    assert scripted.asked["BatchSendGifts"] == [BatchSendGiftsRequest(gifts=sending)]


async def test_a_single_call_is_sent_alone(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("SendGift", SendGiftResponse(gift=Gift(count=1), replayed=True))
    [gift] = gifts(1)
    assert (await coalescing.gifts.SendGift(gift)).replayed
    assert scripted.asked["SendGift"] == [gift]


async def test_calls_that_arrive_during_a_batch_form_the_next_one(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    gate = Gate(batch)
    scripted.script("BatchSendGifts", gate)
    sending = gifts(40)
    in_flight = calls(coalescing, sending[:2])
    await gate.entered.wait()
    for gift in sending[2:]:
        in_flight += calls(coalescing, [gift])
        await asyncio.sleep(0)
    gate.opened.set()
    assert [answer.gift.count for answer in await asyncio.gather(*in_flight)] == list(range(1, 41))
    asked = scripted.asked["BatchSendGifts"]
    assert [gift.count for gift in asked[0].gifts] == [1, 2]
    assert len(asked) < 6  # two, or more on a busy machine


async def test_a_batch_has_at_most_a_thousand_gifts(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", batch)
    assert await ends(coalescing, gifts(2_500)) == list(range(1, 2_501))
    assert [len(each.gifts) for each in scripted.asked["BatchSendGifts"]] == [1000, 1000, 500]


async def test_a_batch_is_no_larger_than_the_server_accepts(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", batch)
    sending = gifts(300)
    for gift in sending:
        gift.message = "x" * 30_000
    assert await ends(coalescing, sending) == list(range(1, 301))
    sizes = [each.ByteSize() for each in scripted.asked["BatchSendGifts"]]
    assert len(sizes) == 3
    assert max(sizes) <= 4 << 20


async def test_answers_are_matched_by_position_and_marked_as_replays(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    same = [SendGiftRequest(idempotency_key="same") for _ in range(3)]
    outcomes = [
        GiftOutcome(idempotency_key="same", gift=Gift(count=n), replayed=n > 0) for n in range(3)
    ]
    scripted.script("BatchSendGifts", BatchSendGiftsResponse(outcomes=outcomes))
    answers = await asyncio.gather(*calls(coalescing, same))
    assert [(answer.gift.count, answer.replayed) for answer in answers] == [
        (0, False), (1, True), (2, True)
    ]  # fmt: skip


async def test_previews_and_calls_with_own_options_are_sent_alone(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("SendGift", single)
    scripted.script("BatchSendGifts", batch)
    preview, hasty, marked, *others = gifts(6)
    preview.validate_only = True
    send = coalescing.gifts.SendGift
    await asyncio.gather(
        *calls(coalescing, [preview, *others]),
        send(hasty, timeout=1),
        send(marked, metadata=[("trace", "7")]),
    )
    assert {gift.count for gift in scripted.asked["SendGift"]} == {1, 2, 3}
    assert [len(each.gifts) for each in scripted.asked["BatchSendGifts"]] == [3]


async def test_another_message_is_a_type_error(coalescing: giftpay.Client) -> None:
    with pytest.raises(TypeError, match="GetWalletRequest"):
        await coalescing.gifts.SendGift(GetWalletRequest())  # type: ignore[arg-type]


async def test_later_changes_to_the_request_are_not_sent(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    scripted.script("BatchSendGifts", batch)
    sending = gifts(3)
    in_flight = calls(coalescing, sending)
    for gift in sending:
        gift.count = 99
    assert [answer.gift.count for answer in await asyncio.gather(*in_flight)] == [1, 2, 3]


async def test_a_refusal_in_a_batch_equals_that_of_a_single_call(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    figures = {"owner_id": "anna", "available": "1", "required": "5"}
    refusal = Refusal(
        reason=ERROR_REASON_INSUFFICIENT_COINS,
        message="INSUFFICIENT_COINS as scripted.",
        metadata=figures,
    )
    code = StatusCode.FAILED_PRECONDITION
    scripted.script("BatchSendGifts", all_but(1, refusal))
    scripted.script("SendGift", refusal_status(code, "INSUFFICIENT_COINS", **figures))
    first, error, third = await ends(coalescing, gifts(3))
    with pytest.raises(giftpay.InsufficientCoins) as alone:
        await coalescing.gifts.SendGift(gifts(2)[1])
    assert (first, third) == (1, 3)
    assert isinstance(error, giftpay.InsufficientCoins)
    assert vars(error) == vars(alone.value)


async def test_a_malformed_gift_names_each_field(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    both = [BadRequest.FieldViolation(field=each) for each in ("count", "gift_id")]
    details = BadRequest(field_violations=both)
    scripted.script("BatchSendGifts", all_but(0, Refusal(reason=ERROR_REASON_INVALID_ARGUMENT)))
    scripted.script(
        "SendGift", refusal_status(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", details)
    )
    error, second = await ends(coalescing, gifts(2))
    assert isinstance(error, giftpay.InvalidArgument)
    assert [field for field, _ in error.violations] == ["count", "gift_id"]
    assert second == 2


async def test_an_unknown_reason_is_retried_alone_for_its_status(
    scripted: ScriptedServer, coalescing: giftpay.Client
) -> None:
    later = Refusal.FromString(b"\x08\xe7\x07")  # reason 999, of a contract to come
    scripted.script("BatchSendGifts", all_but(0, later))
    scripted.script(
        "SendGift", refusal_status(StatusCode.FAILED_PRECONDITION, "MOON_PHASE", phase="full")
    )
    error, _ = await ends(coalescing, gifts(2))
    assert isinstance(error, giftpay.Refused)
    assert (error.reason, error.code) == ("ERROR_REASON_MOON_PHASE", StatusCode.FAILED_PRECONDITION)


async def test_threads_share_batches(scripted: ScriptedServer) -> None:
    gate = Gate(single)
    loop = asyncio.get_running_loop()
    scripted.script("SendGift", gate)
    scripted.script("BatchSendGifts", batch)

    def send_many() -> list[int]:
        with (
            giftpay.connect_sync(scripted.address, timeout=20, coalesce=True) as client,
            ThreadPoolExecutor(40) as threads,
        ):
            sending = [threads.submit(client.gifts.SendGift, gift) for gift in gifts(40)]
            loop.call_soon_threadsafe(gate.opened.set)
            return [call.result().gift.count for call in sending]

    assert await asyncio.to_thread(send_many) == list(range(1, 41))
    asked = sum(map(len, scripted.asked.values()))
    assert asked < 40
