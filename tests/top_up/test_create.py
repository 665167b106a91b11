"""CreateTopUp: an order at the price of now, for those who may buy."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import Any

import giftpay
import pytest
from giftpay import new_key
from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    PAYMENT_PROVIDER_TRUSTED,
    TOP_UP_STATE_PAID,
    TOP_UP_STATE_PENDING,
    UNIT_COIN,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    CreateTopUpRequest,
    GetTopUpRequest,
    GetTransactionRequest,
    ListCoinPackagesRequest,
    OpenWalletRequest,
    UpdateWalletRequest,
    WalletStatus,
)

from tests.conftest import MovableClock, OpenWallet
from tests.top_up.conftest import Shop

AMOUNT_LIMIT = 10**12
BALANCE_LIMIT = 10**15


def wanted(shop: Shop, owner_id: str, **fields: Any) -> CreateTopUpRequest:
    order: dict[str, Any] = {
        "idempotency_key": new_key(),
        "package_id": shop.package_id,
        "provider": PAYMENT_PROVIDER_SANDBOX,
    }
    return CreateTopUpRequest(owner_id=owner_id, **(order | fields))


async def refused_alike(shop: Shop, request: CreateTopUpRequest) -> giftpay.Refused:
    """The refusal of an order; its preview is refused with the same sentence, without its key."""
    preview = CreateTopUpRequest()
    preview.CopyFrom(request)
    preview.validate_only = True
    with pytest.raises(giftpay.Refused) as previewed:
        await shop.client.top_ups.CreateTopUp(preview)
    with pytest.raises(giftpay.Refused) as refused:
        await shop.client.top_ups.CreateTopUp(request)
    assert previewed.value.message == refused.value.message
    assert previewed.value.metadata == refused.value.metadata
    return refused.value


async def test_an_order_has_the_packages_price_and_moves_nothing(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    listed = await shop.client.catalog.ListCoinPackages(ListCoinPackagesRequest(country_code="DE"))
    request = wanted(shop, anna)
    answer = await shop.client.top_ups.CreateTopUp(request)
    order, package = answer.top_up, listed.packages[0]
    assert not answer.replayed
    assert order.top_up_id == request.idempotency_key
    assert (order.owner_id, order.package_id) == (anna, package.package_id)
    assert (order.price, order.coins, order.bonus_coins) == (
        package.price,
        package.coins,
        package.bonus_coins,
    )
    assert (order.state, order.provider) == (TOP_UP_STATE_PENDING, PAYMENT_PROVIDER_SANDBOX)
    assert order.catalog_version == listed.catalog_version
    assert not order.HasField("pay_time")
    assert await shop.current(order) == order
    assert await shop.coins(anna) == 0


async def test_the_same_order_again_is_answered_as_it_was_made(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    request = wanted(shop, await open_wallet(), idempotency_key="order 1 of cart №7" + new_key())
    first = (await shop.client.top_ups.CreateTopUp(request)).top_up
    await shop.confirm(first, await shop.pay(first))
    again = await shop.client.top_ups.CreateTopUp(request)
    assert again.replayed
    assert again.top_up == first
    assert (await shop.current(first)).state == TOP_UP_STATE_PAID


@pytest.mark.parametrize("field", ["owner_id", "package_id", "provider"])
async def test_the_same_key_for_another_order_is_refused_by_name(
    shop: Shop, open_wallet: OpenWallet, field: str
) -> None:
    request = wanted(shop, await open_wallet())
    await shop.client.top_ups.CreateTopUp(request)
    other: dict[str, Any] = {
        "owner_id": await open_wallet(),
        "package_id": "other",
        "provider": PAYMENT_PROVIDER_TRUSTED,
    }
    setattr(request, field, other[field])
    with pytest.raises(giftpay.KeyReused) as refused:
        await shop.client.top_ups.CreateTopUp(request)
    assert refused.value.fields == (field,)


async def test_32_equal_orders_at_once_are_one(shop: Shop, open_wallet: OpenWallet) -> None:
    request = wanted(shop, await open_wallet())
    answers = await asyncio.gather(*(shop.client.top_ups.CreateTopUp(request) for _ in range(32)))
    assert len({answer.top_up.SerializeToString() for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_dry_run_answers_with_the_order_and_records_nothing(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    request = wanted(shop, anna, validate_only=True)
    preview = (await shop.client.top_ups.CreateTopUp(request)).top_up
    with pytest.raises(giftpay.TransactionNotFound):
        await shop.client.wallets.GetTransaction(
            GetTransactionRequest(idempotency_key=request.idempotency_key)
        )
    request.validate_only = False
    order = (await shop.client.top_ups.CreateTopUp(request)).top_up
    for each in (preview, order):
        each.ClearField("top_up_id")
        each.ClearField("create_time")
    assert preview == order


async def test_a_wallet_is_needed(shop: Shop) -> None:
    refused = await refused_alike(shop, wanted(shop, "nobody-" + new_key()))
    assert isinstance(refused, giftpay.WalletNotFound)


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (WALLET_STATUS_FROZEN, giftpay.WalletFrozen),
        (WALLET_STATUS_CLOSED, giftpay.WalletClosed),
    ],
)
async def test_a_frozen_or_closed_wallet_buys_nothing(
    shop: Shop,
    open_wallet: OpenWallet,
    status: WalletStatus.ValueType,
    refusal: type[giftpay.Refused],
) -> None:
    anna = await open_wallet()
    await shop.client.wallets.UpdateWallet(UpdateWalletRequest(owner_id=anna, status=status))
    assert isinstance(await refused_alike(shop, wanted(shop, anna)), refusal)


async def test_who_is_unverified_or_under_18_buys_nothing(shop: Shop, clock: MovableClock) -> None:
    anna = f"young-{new_key()}"
    opened = OpenWalletRequest(owner_id=anna, country_code="DE")
    await shop.client.wallets.OpenWallet(opened)
    assert isinstance(await refused_alike(shop, wanted(shop, anna)), giftpay.AgeUnverified)
    birth = (clock() - timedelta(days=365 * 17)).date()
    await shop.client.wallets.UpdateWallet(
        UpdateWalletRequest(owner_id=anna, date_of_birth=birth.isoformat())
    )
    refused = await refused_alike(shop, wanted(shop, anna))
    assert isinstance(refused, giftpay.UnderAge)
    assert refused.adult_age == 18


async def test_only_what_is_sold_in_the_owners_country_can_be_ordered(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    unknown = await refused_alike(shop, wanted(shop, await open_wallet(), package_id="coins-0"))
    assert isinstance(unknown, giftpay.UnknownPackage)
    assert unknown.package_id == "coins-0"
    abroad = await refused_alike(shop, wanted(shop, await open_wallet(country="JP")))
    assert isinstance(abroad, giftpay.PackageNotSoldInCountry)
    assert (abroad.package_id, abroad.country_code) == (shop.package_id, "JP")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "anna/ben"}, "owner_id"),
        ({"package_id": ""}, "package_id"),
        ({"package_id": "p" * 65}, "package_id"),
        ({"provider": 0}, "provider"),
        ({"provider": 99}, "provider"),
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
    ],
)
async def test_malformed_orders_are_refused_by_field(
    shop: Shop, change: dict[str, Any], field: str
) -> None:
    request = wanted(shop, **({"owner_id": "anna"} | change))
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await shop.client.top_ups.CreateTopUp(request)
    assert refused.value.field == field


async def test_a_full_wallet_orders_nothing_but_is_credited_what_it_paid(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    adjustment = AdjustBalanceRequest(
        owner_id=anna, unit=UNIT_COIN, amount=AMOUNT_LIMIT, reason="test"
    )
    for _ in range(4):
        requests = [AdjustBalanceRequest() for _ in range(250)]
        for request in requests:
            request.CopyFrom(adjustment)
        await asyncio.gather(*map(shop.client.admin.AdjustBalance, requests))
    refused = await refused_alike(shop, wanted(shop, anna))
    assert isinstance(refused, giftpay.BalanceLimit)
    assert (refused.owner_id, refused.unit, refused.limit) == (anna, "COIN", BALANCE_LIMIT)
    await shop.confirm(order, await shop.pay(order))
    assert await shop.coins(anna) == BALANCE_LIMIT + order.coins


async def test_an_order_that_was_never_made_is_not_found(shop: Shop) -> None:
    with pytest.raises(giftpay.TopUpNotFound):
        await shop.client.top_ups.GetTopUp(GetTopUpRequest(top_up_id=new_key()))
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await shop.client.top_ups.GetTopUp(GetTopUpRequest(top_up_id="order-1"))
    assert refused.value.field == "top_up_id"


async def test_an_order_keeps_the_time_it_was_made(
    shop: Shop, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    before = clock()
    order = await shop.order(await open_wallet())
    assert before <= order.create_time.ToDatetime(UTC) <= clock()
