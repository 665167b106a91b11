"""CancelRedemption over the wire: released while nothing was sent, refused afterwards."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import giftpay
import pytest
from giftpay.v1 import (
    REDEMPTION_STATE_CANCELLED,
    WALLET_STATUS_FROZEN,
    CancelRedemptionRequest,
    Redemption,
)

from tests.redemption.conftest import AMOUNT, DIAMONDS, Desk, new_destination


def cancelling(made: Redemption, **fields: str) -> CancelRedemptionRequest:
    wanted = {"idempotency_key": giftpay.new_key(), "redemption_id": made.redemption_id, **fields}
    return CancelRedemptionRequest(**wanted)


async def test_cancelling_releases_the_diamonds_and_nothing_is_paid(desk: Desk) -> None:
    made = await desk.redeem()
    answer = await desk.client.redemptions.CancelRedemption(cancelling(made))
    assert answer.redemption.state == REDEMPTION_STATE_CANCELLED
    assert answer.redemption.quote == made.quote
    assert not answer.replayed
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)
    await desk.work(days=1)
    assert await desk.read(made) == answer.redemption
    assert await desk.payouts(made) == []


async def test_cancelling_twice_is_cancelling_once(desk: Desk) -> None:
    made = await desk.redeem()
    request = cancelling(made)
    first = await desk.client.redemptions.CancelRedemption(request)
    same_key = await desk.client.redemptions.CancelRedemption(request)
    other_key = await desk.client.redemptions.CancelRedemption(cancelling(made))
    assert first.redemption == same_key.redemption == other_key.redemption
    assert (same_key.replayed, other_key.replayed) == (True, False)
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)


async def test_cancelling_many_times_at_once_releases_once(desk: Desk) -> None:
    made = await desk.redeem()
    calls = [desk.client.redemptions.CancelRedemption(cancelling(made)) for _ in range(10)]
    answers = await asyncio.gather(*calls)
    assert {answer.redemption.state for answer in answers} == {REDEMPTION_STATE_CANCELLED}
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)


@pytest.mark.parametrize(
    ("destination", "state"),
    [
        ("mia@example.org", "PAID"),
        ("pending@sandbox.example", "SUBMITTED"),
        ("lost@sandbox.example", "UNKNOWN"),
        ("decline@sandbox.example", "RETURNED"),
    ],
)
async def test_what_was_sent_is_not_cancelled(desk: Desk, destination: str, state: str) -> None:
    made = await desk.redeem(destination)
    await desk.work()
    before = await desk.diamonds(made.owner_id)
    request = cancelling(made)
    with pytest.raises(giftpay.WrongRedemptionState) as refused:
        await desk.client.redemptions.CancelRedemption(request)
    assert (refused.value.redemption_id, refused.value.state) == (made.redemption_id, state)
    await desk.work(minutes=1)
    await desk.work(minutes=2)
    with pytest.raises(giftpay.WrongRedemptionState) as again:
        await desk.client.redemptions.CancelRedemption(request)
    assert again.value.state == state  # as in the first answer
    if state in ("PAID", "RETURNED"):
        assert await desk.diamonds(made.owner_id) == before


async def test_a_redemption_is_either_cancelled_or_paid_whoever_comes_first(desk: Desk) -> None:
    made = [await desk.redeem() for _ in range(12)]

    async def cancel(each: Redemption) -> None:
        with suppress(giftpay.WrongRedemptionState):
            await desk.client.redemptions.CancelRedemption(cancelling(each))

    await asyncio.gather(desk.work(), *map(cancel, made))
    await desk.work(minutes=1)
    for each in made:
        if await desk.state(each) == "CANCELLED":
            assert await desk.payouts(each) == []
            assert await desk.diamonds(each.owner_id) == (DIAMONDS, 0)
        else:
            assert await desk.state(each) == "PAID"
            assert await desk.payouts(each) == [("PAID", AMOUNT, 1)]
            assert await desk.diamonds(each.owner_id) == (0, 0)


async def test_a_frozen_wallet_may_still_cancel(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.set_status(made.owner_id, WALLET_STATUS_FROZEN)
    await desk.client.redemptions.CancelRedemption(cancelling(made))
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)


async def test_what_is_not_there_is_not_cancelled_for_ever(desk: Desk) -> None:
    made = await desk.redeem()
    request = cancelling(made, redemption_id=giftpay.new_key())
    for _ in range(2):
        with pytest.raises(giftpay.RedemptionNotFound) as refused:
            await desk.client.redemptions.CancelRedemption(request)
        assert refused.value.redemption_id == request.redemption_id


async def test_the_same_key_for_another_redemption_is_refused_by_name(desk: Desk) -> None:
    made, other = await desk.redeem(), await desk.redeem()
    key = giftpay.new_key()
    await desk.client.redemptions.CancelRedemption(cancelling(made, idempotency_key=key))
    with pytest.raises(giftpay.KeyReused) as refused:
        await desk.client.redemptions.CancelRedemption(cancelling(other, idempotency_key=key))
    assert refused.value.fields == ("redemption_id",)
    assert await desk.diamonds(other.owner_id) == (DIAMONDS, DIAMONDS)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
        ({"redemption_id": ""}, "redemption_id"),
        ({"redemption_id": "0198C0DE-0000-7000-8000-000000000000"}, "redemption_id"),
    ],
)
async def test_malformed_requests_name_the_field(
    desk: Desk, fields: dict[str, str], field: str
) -> None:
    made = await desk.redeem(new_destination())
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await desk.client.redemptions.CancelRedemption(cancelling(made, **fields))
    assert refused.value.field == field
