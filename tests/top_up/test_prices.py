"""Orders while prices change, on books of their own: what was ordered is paid and credited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import giftpay
import pytest
from giftpay import new_key
from giftpay.client import connect
from giftpay.v1 import (
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    UNIT_COIN,
    ApplyCatalogRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    ListEntriesRequest,
    Money,
    OpenWalletRequest,
    Promotion,
    Rational,
    VerifyLedgerRequest,
)
from giftpay_server.app import serving
from giftpay_server.config import Config
from google.protobuf.timestamp_pb2 import Timestamp

from tests.conftest import MovableClock
from tests.top_up.conftest import Shop

ANNA = "anna"


@pytest.fixture
def own_clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def market(
    new_database: Callable[[], Awaitable[str]], sandbox: str, own_clock: MovableClock
) -> AsyncIterator[Shop]:
    """A shop with a server and a database of its own, and one buyer; audited at the end."""
    config = Config(database_url=await new_database(), listen="127.0.0.1:0", sandbox_url=sandbox)
    async with (
        serving(config, clock=own_clock) as server,
        connect(server.address) as client,
        aiohttp.ClientSession() as http,
    ):
        await client.wallets.OpenWallet(
            OpenWalletRequest(owner_id=ANNA, country_code="DE", age_verified=True)
        )
        yield Shop(client, http, sandbox, package_id="coins")
        verified = await client.admin.VerifyLedger(VerifyLedgerRequest())
        assert verified.clean, verified.broken


async def sell(shop: Shop, *promotions: Promotion, **fields: Any) -> None:
    """Sells one package only: 100 coins at EUR 0.99, unless the fields say otherwise."""
    price = Money(currency_code="EUR", minor_units=fields.pop("cents", 99))
    package: dict[str, Any] = {"package_id": "coins", "price": price, "coins": 100}
    catalog = Catalog(
        packages=[CoinPackage(**(package | fields))],
        promotions=promotions,
        gifts=[CatalogGift(gift_id="rose", name="Rose", coins=1)],
        diamonds_per_coin=Rational(numerator=1, denominator=1),
        default_currency_code="EUR",
    )
    await shop.client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))


def after(clock: MovableClock, **time: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(clock() + timedelta(**time))
    return stamp


async def test_without_a_catalog_nothing_is_ordered(market: Shop) -> None:
    with pytest.raises(giftpay.NoCatalog):
        await market.order(ANNA)


async def test_an_order_keeps_its_price(market: Shop) -> None:
    await sell(market, cents=99, coins=100)
    key = new_key()
    order = await market.order(ANNA, idempotency_key=key)
    await sell(market, cents=199, coins=150)
    assert await market.order(ANNA, idempotency_key=key) == order
    paid = (await market.confirm(order, await market.pay(order))).top_up
    assert (paid.price.minor_units, paid.coins, paid.catalog_version) == (99, 100, 1)
    assert await market.coins(ANNA) == 100


async def test_the_price_of_today_does_not_pay_an_order_of_yesterday(market: Shop) -> None:
    await sell(market, cents=99)
    order = await market.order(ANNA)
    await sell(market, cents=199)
    with pytest.raises(giftpay.PaymentMismatch) as refused:
        await market.confirm(order, await market.pay(order, minor_units=199))
    assert (refused.value.expected, refused.value.actual) == ("EUR 99", "EUR 199")


async def test_a_package_is_ordered_in_its_time_and_paid_after_it(
    market: Shop, own_clock: MovableClock
) -> None:
    await sell(market, start_time=after(own_clock, days=1), end_time=after(own_clock, days=2))
    with pytest.raises(giftpay.PackageOffSale):
        await market.order(ANNA)
    own_clock.advance(days=1)
    order = await market.order(ANNA)
    own_clock.advance(days=1)
    with pytest.raises(giftpay.PackageOffSale):
        await market.order(ANNA)
    await market.confirm(order, await market.pay(order))
    assert await market.coins(ANNA) == order.coins


async def test_a_promotion_counts_as_of_the_time_of_the_order(
    market: Shop, own_clock: MovableClock
) -> None:
    spring = Promotion(
        promotion_id="spring",
        bonus_per_coin=Rational(numerator=1, denominator=3),
        start_time=after(own_clock, days=-1),
        end_time=after(own_clock, days=1),
    )
    await sell(market, spring)
    order = await market.order(ANNA)
    assert (order.coins, order.bonus_coins) == (100, 33)
    own_clock.advance(days=1)
    assert (await market.order(ANNA)).bonus_coins == 0
    await market.confirm(order, await market.pay(order))
    listed = await market.client.wallets.ListEntries(
        ListEntriesRequest(owner_id=ANNA, unit=UNIT_COIN, after_seq=0)
    )
    assert [(entry.amount, entry.system_account) for entry in listed.entries] == [
        (100, SYSTEM_ACCOUNT_ISSUANCE),
        (33, SYSTEM_ACCOUNT_PROMOTION),
    ]
