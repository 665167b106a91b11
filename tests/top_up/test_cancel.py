"""CancelTopUp: an order is cancelled, unless it is paid."""

from __future__ import annotations

import asyncio

import giftpay
import pytest
from giftpay import new_key
from giftpay.v1 import TOP_UP_STATE_CANCELLED, TOP_UP_STATE_PAID, CancelTopUpRequest, TopUp

from tests.conftest import OpenWallet
from tests.top_up.conftest import Shop


def cancellation(order: TopUp, key: str = "") -> CancelTopUpRequest:
    return CancelTopUpRequest(idempotency_key=key or new_key(), top_up_id=order.top_up_id)


async def test_an_order_can_be_cancelled(shop: Shop, open_wallet: OpenWallet) -> None:
    order = await shop.order(await open_wallet())
    answer = await shop.client.top_ups.CancelTopUp(cancellation(order))
    assert answer.top_up.state == TOP_UP_STATE_CANCELLED
    assert not answer.replayed
    assert await shop.current(order) == answer.top_up


async def test_cancelling_twice_changes_nothing(shop: Shop, open_wallet: OpenWallet) -> None:
    order, key = await shop.order(await open_wallet()), new_key()
    first = await shop.client.top_ups.CancelTopUp(cancellation(order, key))
    again = await shop.client.top_ups.CancelTopUp(cancellation(order, key))
    other = await shop.client.top_ups.CancelTopUp(cancellation(order))
    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert first.top_up == again.top_up == other.top_up


async def test_a_paid_order_is_not_cancelled(shop: Shop, open_wallet: OpenWallet) -> None:
    paid, _ = await shop.bought(await open_wallet())
    with pytest.raises(giftpay.WrongTopUpState) as refused:
        await shop.client.top_ups.CancelTopUp(cancellation(paid))
    assert (refused.value.top_up_id, refused.value.state) == (paid.top_up_id, "PAID")
    assert await shop.current(paid) == paid


async def test_a_cancellation_is_answered_as_before_after_a_late_payment(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    order, key = await shop.order(await open_wallet()), new_key()
    first = await shop.client.top_ups.CancelTopUp(cancellation(order, key))
    await shop.confirm(order, await shop.pay(order))
    again = await shop.client.top_ups.CancelTopUp(cancellation(order, key))
    assert again.top_up == first.top_up
    assert (await shop.current(order)).state == TOP_UP_STATE_PAID


async def test_a_race_of_cancelling_and_paying_always_credits(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    orders = [await shop.order(anna) for _ in range(8)]
    references = [await shop.pay(order) for order in orders]
    ends = await asyncio.gather(
        *(shop.client.top_ups.CancelTopUp(cancellation(order)) for order in orders),
        *map(shop.confirm, orders, references),
        return_exceptions=True,
    )
    for order, cancelled in zip(orders, ends, strict=False):
        paid = await shop.current(order)
        assert paid.state == TOP_UP_STATE_PAID
        assert paid.paid_after_cancel != isinstance(cancelled, giftpay.WrongTopUpState)
    assert await shop.coins(anna) == sum(order.coins for order in orders)


async def test_an_unknown_order_is_refused_for_good(shop: Shop, open_wallet: OpenWallet) -> None:
    top_up_id, key = new_key(), new_key()
    request = CancelTopUpRequest(idempotency_key=key, top_up_id=top_up_id)
    with pytest.raises(giftpay.TopUpNotFound) as refused:
        await shop.client.top_ups.CancelTopUp(request)
    assert refused.value.top_up_id == top_up_id
    await shop.order(await open_wallet(), idempotency_key=top_up_id)
    with pytest.raises(giftpay.TopUpNotFound):
        await shop.client.top_ups.CancelTopUp(request)


async def test_the_key_of_one_cancellation_serves_no_other(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna, key = await open_wallet(), new_key()
    await shop.client.top_ups.CancelTopUp(cancellation(await shop.order(anna), key))
    with pytest.raises(giftpay.KeyReused) as refused:
        await shop.client.top_ups.CancelTopUp(cancellation(await shop.order(anna), key))
    assert refused.value.fields == ("top_up_id",)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CancelTopUpRequest(), "top_up_id"),
        (CancelTopUpRequest(top_up_id="order-1"), "top_up_id"),
        (CancelTopUpRequest(top_up_id=new_key(), idempotency_key="k" * 129), "idempotency_key"),
    ],
)
async def test_malformed_cancellations_are_refused_by_field(
    shop: Shop, request_: CancelTopUpRequest, field: str
) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await shop.client.top_ups.CancelTopUp(request_)
    assert refused.value.field == field
