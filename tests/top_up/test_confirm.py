"""ConfirmTopUp: coins are credited once, to the order that its provider confirms as paid."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay import new_key
from giftpay.v1 import (
    SYSTEM_ACCOUNT_ISSUANCE,
    TOP_UP_STATE_CANCELLED,
    TOP_UP_STATE_PAID,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    UNIT_COIN,
    WALLET_STATUS_FROZEN,
    ConfirmTopUpRequest,
    GetTransactionRequest,
    ListEntriesRequest,
    TopUp,
    UpdateWalletRequest,
)
from giftpay_server.app import Running
from giftpay_server.top_up.store import read_top_up, save_top_ups

from tests.conftest import OpenWallet
from tests.top_up.conftest import Shop

RECEIPTS = """
    SELECT provider, reference, currency, minor_units FROM money_movement WHERE subject_id = $1
"""
LOTS = """
    SELECT kind, size, price, currency, source_id::text FROM lot WHERE owner_id = $1
"""


async def test_a_payment_credits_the_coins_that_were_ordered(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    reference = await shop.pay(order)
    answer = await shop.confirm(order, reference)
    paid = answer.top_up
    assert not answer.replayed
    assert (paid.state, paid.payment_reference) == (TOP_UP_STATE_PAID, reference)
    assert paid.pay_time.ToDatetime(UTC) >= paid.create_time.ToDatetime(UTC)
    assert not paid.paid_after_cancel
    assert await shop.coins(anna) == order.coins
    assert await shop.current(order) == paid


async def test_the_coins_are_booked_against_issuance(shop: Shop, open_wallet: OpenWallet) -> None:
    anna = await open_wallet()
    order, _ = await shop.bought(anna)
    listed = await shop.client.wallets.ListEntries(
        ListEntriesRequest(owner_id=anna, unit=UNIT_COIN)
    )
    (entry,) = listed.entries
    assert (entry.amount, entry.system_account) == (order.coins, SYSTEM_ACCOUNT_ISSUANCE)
    assert entry.kind == TRANSACTION_KIND_CONFIRM_TOP_UP


async def test_a_purchase_leaves_one_receipt_and_a_lot_that_knows_its_price(
    shop: Shop, open_wallet: OpenWallet, pool: asyncpg.Pool
) -> None:
    anna = await open_wallet()
    order, reference = await shop.bought(anna)
    price = order.price
    (receipt,) = await pool.fetch(RECEIPTS, order.top_up_id)
    assert tuple(receipt) == ("SANDBOX", reference, price.currency_code, price.minor_units)
    (lot,) = await pool.fetch(LOTS, anna)
    assert tuple(lot) == (1, order.coins, price.minor_units, price.currency_code, order.top_up_id)


async def test_the_same_confirmation_again_is_the_same_answer(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order, key = await shop.order(anna), new_key()
    reference = await shop.pay(order)
    first = await shop.confirm(order, reference, key)
    again = await shop.confirm(order, reference, key)
    assert again.replayed
    assert again.top_up == first.top_up
    assert await shop.coins(anna) == order.coins


async def test_a_second_key_for_the_same_payment_moves_nothing(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    paid, reference = await shop.bought(anna)
    key = new_key()
    answer = await shop.confirm(paid, reference, key)
    assert not answer.replayed
    assert answer.top_up == paid
    assert await shop.coins(anna) == paid.coins
    found = await shop.client.wallets.GetTransaction(GetTransactionRequest(transaction_id=key))
    assert found.transaction.HasField("posted")
    assert not found.transaction.posted.entries


@pytest.mark.parametrize("one_key", [True, False])
async def test_32_confirmations_at_once_credit_once(
    shop: Shop, open_wallet: OpenWallet, pool: asyncpg.Pool, one_key: bool
) -> None:
    anna = await open_wallet()
    order, key = await shop.order(anna), new_key()
    reference = await shop.pay(order)
    keys = [key if one_key else new_key() for _ in range(32)]
    answers = await asyncio.gather(*(shop.confirm(order, reference, key) for key in keys))
    assert len({answer.top_up.SerializeToString() for answer in answers}) == 1
    assert sum(answer.replayed for answer in answers) == (31 if one_key else 0)
    assert await shop.coins(anna) == order.coins
    assert len(await pool.fetch(RECEIPTS, order.top_up_id)) == 1


async def test_a_payment_pays_for_one_order_only(shop: Shop, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(), await open_wallet()
    paid, reference = await shop.bought(anna)
    for other in (await shop.order(anna), await shop.order(ben)):
        with pytest.raises(giftpay.PaymentReferenceUsed) as refused:
            await shop.confirm(other, reference)
        assert refused.value.payment_reference == reference
        assert refused.value.top_up_id == paid.top_up_id
    assert (await shop.coins(anna), await shop.coins(ben)) == (paid.coins, 0)


async def test_32_orders_cannot_share_a_payment(shop: Shop, open_wallet: OpenWallet) -> None:
    owners = await asyncio.gather(*(open_wallet() for _ in range(32)))
    orders = await asyncio.gather(*(shop.order(owner) for owner in owners))
    reference = await shop.pay(orders[0])
    ends = await asyncio.gather(
        *(shop.confirm(order, reference) for order in orders), return_exceptions=True
    )
    (winner,) = [end.top_up.top_up_id for end in ends if not isinstance(end, BaseException)]
    losers = [end for end in ends if isinstance(end, giftpay.PaymentReferenceUsed)]
    assert {loser.top_up_id for loser in losers} == {winner}
    assert len(losers) == 31
    assert sum([await shop.coins(owner) for owner in owners]) == orders[0].coins


async def test_an_order_is_paid_by_one_payment_only(shop: Shop, open_wallet: OpenWallet) -> None:
    anna = await open_wallet()
    paid, _ = await shop.bought(anna)
    with pytest.raises(giftpay.WrongTopUpState) as refused:
        await shop.confirm(paid, await shop.pay(paid))
    assert (refused.value.top_up_id, refused.value.state) == (paid.top_up_id, "PAID")
    assert await shop.coins(anna) == paid.coins


@pytest.mark.parametrize("change", [{"minor_units": 1}, {"currency": "JPY"}])
async def test_another_amount_or_currency_is_refused_for_good(
    shop: Shop, open_wallet: OpenWallet, change: dict[str, Any]
) -> None:
    anna = await open_wallet()
    order, key = await shop.order(anna), new_key()
    reference = await shop.pay(order, **change)
    for _ in range(2):
        with pytest.raises(giftpay.PaymentMismatch) as refused:
            await shop.confirm(order, reference, key)
    price = order.price
    assert refused.value.expected == f"{price.currency_code} {price.minor_units}"
    paid = {"currency": price.currency_code, "minor_units": price.minor_units} | change
    assert refused.value.actual == f"{paid['currency']} {paid['minor_units']}"
    assert await shop.coins(anna) == 0


async def test_a_mismatch_leaves_the_order_to_its_true_payment(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    with pytest.raises(giftpay.PaymentMismatch):
        await shop.confirm(order, await shop.pay(order, minor_units=1))
    await shop.confirm(order, await shop.pay(order))
    assert await shop.coins(anna) == order.coins


async def test_the_row_of_a_paid_order_cannot_be_written_again(
    shop: Shop, open_wallet: OpenWallet, server: Running
) -> None:
    paid, _ = await shop.bought(await open_wallet())
    pool = server.parts.pool
    order = await read_top_up(pool, paid.top_up_id)
    assert order is not None
    async with pool.acquire() as connection:
        with pytest.raises(RuntimeError):
            await save_top_ups(connection, [replace(order, paid_after_cancel=True)])
    assert await shop.current(paid) == paid


async def test_payment_of_a_cancelled_order_is_credited_and_flagged(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    assert (await shop.cancel(order)).state == TOP_UP_STATE_CANCELLED
    paid = (await shop.confirm(order, await shop.pay(order))).top_up
    assert paid.state == TOP_UP_STATE_PAID
    assert paid.paid_after_cancel
    assert await shop.coins(anna) == order.coins


async def test_a_payment_is_booked_while_the_wallet_is_frozen(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    reference = await shop.pay(order)
    await shop.client.wallets.UpdateWallet(
        UpdateWalletRequest(owner_id=anna, status=WALLET_STATUS_FROZEN)
    )
    await shop.confirm(order, reference)
    assert await shop.coins(anna) == order.coins


async def test_an_unknown_order_is_refused_for_good(shop: Shop, open_wallet: OpenWallet) -> None:
    key, top_up_id = new_key(), new_key()
    with pytest.raises(giftpay.TopUpNotFound) as refused:
        await shop.confirm(TopUp(top_up_id=top_up_id), "pay-1", key)
    assert refused.value.top_up_id == top_up_id
    order = await shop.order(await open_wallet(), idempotency_key=top_up_id)
    with pytest.raises(giftpay.TopUpNotFound):
        await shop.confirm(order, "pay-1", key)
    await shop.confirm(order, await shop.pay(order))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"top_up_id": "order-1"}, "top_up_id"),
        ({"top_up_id": ""}, "top_up_id"),
        ({"payment_reference": ""}, "payment_reference"),
        ({"payment_reference": "p" * 129}, "payment_reference"),
        ({"payment_reference": "pay 1"}, "payment_reference"),
        ({"payment_reference": "päy"}, "payment_reference"),
        ({"payment_reference": "pay\n"}, "payment_reference"),
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
    ],
)
async def test_malformed_confirmations_are_refused_by_field(
    shop: Shop, change: dict[str, str], field: str
) -> None:
    request = ConfirmTopUpRequest(top_up_id=new_key(), payment_reference="pay-1")
    request.MergeFrom(ConfirmTopUpRequest(**change))
    for name in [name for name, value in change.items() if not value]:
        request.ClearField(name)  # type: ignore[arg-type]
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await shop.client.top_ups.ConfirmTopUp(request)
    assert refused.value.field == field


async def test_a_reference_may_be_any_visible_text(shop: Shop, open_wallet: OpenWallet) -> None:
    order = await shop.order(await open_wallet())
    unusual = "a/b?c=d&e%2F#" + "~" * 30 + shop.new_reference()
    paid = (await shop.confirm(order, await shop.pay(order, unusual))).top_up
    assert paid.payment_reference == unusual


async def test_the_key_of_one_confirmation_serves_no_other(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order, other, key = await shop.order(anna), await shop.order(anna), new_key()
    reference = await shop.pay(order)
    await shop.confirm(order, reference, key)
    with pytest.raises(giftpay.KeyReused) as refused:
        await shop.confirm(other, reference, key)
    assert refused.value.fields == ("top_up_id",)
    with pytest.raises(giftpay.KeyReused) as refused:
        await shop.confirm(order, "pay-2", key)
    assert refused.value.fields == ("payment_reference",)
