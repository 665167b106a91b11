"""Orders while prices change, on books of their own: what was ordered is what is paid and credited."""

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
async def market(
    new_database: Callable[[], Awaitable[str]], sandbox: str
) -> AsyncIterator[tuple[Shop, MovableClock]]:
    """A shop with a server, a database and a clock of its own, with one buyer; audited at the end."""
    clock = MovableClock()
    config = Config(database_url=await new_database(), listen="127.0.0.1:0", sandbox_url=sandbox)
    async with (
        serving(config, clock=clock) as server,
        connect(server.address) as client,
        aiohttp.ClientSession() as http,
    ):
        await client.wallets.OpenWallet(
            OpenWalletRequest(owner_id=ANNA, country_code="DE", age_verified=True)
        )
        yield Shop(client, http, sandbox, package_id="coins"), clock
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


async def test_without_a_catalog_nothing_is_ordered(market: tuple[Shop, MovableClock]) -> None:
    shop, _ = market
    with pytest.raises(giftpay.NoCatalog):
        await shop.order(ANNA)


async def test_an_order_keeps_its_price(market: tuple[Shop, MovableClock]) -> None:
    shop, _ = market
    await sell(shop, cents=99, coins=100)
    key = new_key()
    order = await shop.order(ANNA, idempotency_key=key)
    await sell(shop, cents=199, coins=150)
    assert await shop.order(ANNA, idempotency_key=key) == order
    paid = (await shop.confirm(order, await shop.pay(order))).top_up
    assert (paid.price.minor_units, paid.coins, paid.catalog_version) == (99, 100, 1)
    assert await shop.coins(ANNA) == 100


async def test_the_price_of_today_does_not_pay_an_order_of_yesterday(
    market: tuple[Shop, MovableClock],
) -> None:
    shop, _ = market
    await sell(shop, cents=99)
    order = await shop.order(ANNA)
    await sell(shop, cents=199)
    with pytest.raises(giftpay.PaymentMismatch) as refused:
        await shop.confirm(order, await shop.pay(order, minor_units=199))
    assert (refused.value.expected, refused.value.actual) == ("EUR 99", "EUR 199")


async def test_a_package_is_ordered_in_its_time_and_paid_after_it(
    market: tuple[Shop, MovableClock],
) -> None:
    shop, clock = market
    await sell(shop, start_time=after(clock, days=1), end_time=after(clock, days=2))
    with pytest.raises(giftpay.PackageOffSale):
        await shop.order(ANNA)
    clock.advance(days=1)
    order = await shop.order(ANNA)
    clock.advance(days=1)
    with pytest.raises(giftpay.PackageOffSale):
        await shop.order(ANNA)
    await shop.confirm(order, await shop.pay(order))
    assert await shop.coins(ANNA) == order.coins


async def test_a_promotion_counts_as_it_stood_when_it_was_ordered(
    market: tuple[Shop, MovableClock],
) -> None:
    shop, clock = market
    spring = Promotion(
        promotion_id="spring",
        bonus_per_coin=Rational(numerator=1, denominator=3),
        start_time=after(clock, days=-1),
        end_time=after(clock, days=1),
    )
    await sell(shop, spring)
    order = await shop.order(ANNA)
    assert (order.coins, order.bonus_coins) == (100, 33)
    clock.advance(days=1)
    assert (await shop.order(ANNA)).bonus_coins == 0
    await shop.confirm(order, await shop.pay(order))
    listed = await shop.client.wallets.ListEntries(
        ListEntriesRequest(owner_id=ANNA, unit=UNIT_COIN, after_seq=0)
    )
    assert [(entry.amount, entry.system_account) for entry in listed.entries] == [
        (100, SYSTEM_ACCOUNT_ISSUANCE),
        (33, SYSTEM_ACCOUNT_PROMOTION),
    ]
