"""BatchSendGifts and StreamGifts: an outcome for each item, independent of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_INVALID_ARGUMENT,
    ERROR_REASON_UNKNOWN_GIFT,
    BatchSendGiftsRequest,
    GiftOutcome,
    SendGiftRequest,
    StreamGiftsRequest,
)
from grpc import StatusCode

from tests.conftest import OpenWallet
from tests.gift.gifts import balances, gift
from tests.refusals import refused

MALFORMED = StatusCode.INVALID_ARGUMENT


async def batch(client: Client, *gifts: SendGiftRequest) -> list[GiftOutcome]:
    answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    return list(answer.outcomes)


async def test_each_item_of_a_batch_has_its_own_outcome_in_order(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gifts = [
        gift(anna, ben, count=6),
        gift(anna, ben, gift_id="no"),
        gift(anna, ben, count=6),
        gift(anna, "b b"),
        gift(anna, ben, count=4),
    ]
    outcomes = await batch(client, *gifts)
    assert [o.idempotency_key for o in outcomes] == [g.idempotency_key for g in gifts]
    assert [o.WhichOneof("outcome") for o in outcomes] == [
        "gift", "refusal", "refusal", "refusal", "gift"
    ]  # fmt: skip
    assert [o.refusal.reason for o in outcomes[1:4]] == [
        ERROR_REASON_UNKNOWN_GIFT,
        ERROR_REASON_INSUFFICIENT_COINS,
        ERROR_REASON_INVALID_ARGUMENT,
    ]
    assert outcomes[3].refusal.metadata["field"] == "recipient_id"
    assert await balances(client, anna) == (0, 0)


async def test_a_key_twice_in_a_batch_is_one_gift(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    same = gift(anna, ben)
    other = gift(anna, ben, count=2, idempotency_key=same.idempotency_key)
    first, again, reused = await batch(client, same, same, other)
    assert (first.replayed, again.replayed) == (False, True)
    assert first.gift == again.gift
    assert reused.refusal.metadata["fields"] == "count"
    assert await balances(client, anna) == (9, 0)


async def test_a_batch_sent_again_is_a_replay_refusals_included(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=3), await open_wallet()
    gifts = [gift(anna, ben, count=2), gift(anna, ben, count=2), gift(anna, ben)]
    first = await batch(client, *gifts)
    again = await batch(client, *gifts)
    assert all(outcome.replayed for outcome in again)
    for outcome in again:
        outcome.replayed = False
    assert first == again


@pytest.mark.parametrize("size", [0, 1_001])
async def test_a_batch_of_the_wrong_size_is_refused_whole(
    client: Client, open_wallet: OpenWallet, size: int
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    with refused(giftpay.InvalidArgument, MALFORMED, field="gifts", limit="1..1000 items"):
        await batch(client, *(gift(anna, ben) for _ in range(size)))
    assert await balances(client, anna) == (10, 0)


async def test_a_thousand_gifts_are_one_call(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=1_000), await open_wallet()
    outcomes = await batch(client, *(gift(anna, ben) for _ in range(1_000)))
    assert all(outcome.HasField("gift") for outcome in outcomes)
    assert await balances(client, ben) == (0, 1_000)


async def test_a_preview_is_malformed_in_a_batch(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    (outcome,) = await batch(client, gift(anna, ben, validate_only=True))
    assert outcome.refusal.metadata["field"] == "validate_only"
    assert await balances(client, anna) == (10, 0)


async def test_a_stream_answers_every_gift_by_key(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=500), await open_wallet()
    gifts = [gift(anna, ben) for _ in range(600)]
    outcomes = {o.idempotency_key: o async for o in client.send_gifts(gifts)}
    assert outcomes.keys() == {g.idempotency_key for g in gifts}
    assert sum(o.HasField("gift") for o in outcomes.values()) == 500
    assert await balances(client, ben) == (0, 500)


async def test_a_stream_that_is_malformed_ends_with_the_field(
    client: Client, open_wallet: OpenWallet
) -> None:
    async def requests() -> AsyncIterator[StreamGiftsRequest]:
        yield StreamGiftsRequest()

    with refused(giftpay.InvalidArgument, MALFORMED, field="gifts", limit="1..1000 items"):
        async for _ in client.gifts.StreamGifts(requests()):
            pass


async def test_outcomes_before_a_malformed_message_are_delivered_first(
    client: Client, open_wallet: OpenWallet
) -> None:
    sent = gift(await open_wallet(coins=10), await open_wallet())

    async def requests() -> AsyncIterator[StreamGiftsRequest]:
        yield StreamGiftsRequest(gifts=[sent])
        yield StreamGiftsRequest()

    outcomes: list[GiftOutcome] = []
    with refused(giftpay.InvalidArgument, MALFORMED, field="gifts", limit="1..1000 items"):
        async for response in client.gifts.StreamGifts(requests()):
            outcomes += response.outcomes
    assert [outcome.gift.transaction_id for outcome in outcomes] == [sent.idempotency_key]


async def test_outcomes_come_while_the_stream_is_open(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=3), await open_wallet()
    answered = asyncio.Event()

    async def requests() -> AsyncIterator[StreamGiftsRequest]:
        for _ in range(3):
            answered.clear()
            yield StreamGiftsRequest(gifts=[gift(anna, ben)])
            await asyncio.wait_for(answered.wait(), 10)

    seen = 0
    async for answer in client.gifts.StreamGifts(requests()):
        seen += len(answer.outcomes)
        answered.set()
    assert seen == 3


async def test_a_stream_that_is_dropped_leaves_the_books_whole(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=2_000), await open_wallet()
    gifts = [gift(anna, ben) for _ in range(2_000)]
    seen = 0
    stream = client.send_gifts(gifts)
    async for _ in stream:
        seen += 1
        if seen == 100:
            break
    await stream.aclose()
    coins, diamonds = (await balances(client, anna))[0], (await balances(client, ben))[1]
    assert coins + diamonds == 2_000
    assert diamonds >= 100
