"""ListGifts and ListCoinPackages over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import giftpay
import grpc
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    ApplyCatalogRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    ListCoinPackagesRequest,
    ListGiftsRequest,
)

from tests.catalog.examples import example, gift, package, promotion, rational, stamp

HOUR = timedelta(hours=1)


async def apply(client: Client, catalog: Catalog) -> int:
    response = await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))
    return response.version


def five_gifts() -> Catalog:
    """Gifts of 1, 5, 5, 9 and 29999 coins, not in order."""
    catalog = example()
    catalog.gifts.extend([gift("kite", 9), gift("cake", 5), gift("bear", 5)])
    return catalog


def five_packages() -> Catalog:
    """Packages in euros at 0.99, 4.99, 4.99, 9.99 and 49.99, not in order."""
    catalog = example()
    catalog.packages.extend(
        [
            package("eur-50", 3_500, "EUR", 4_999),
            package("eur-1", 70, "EUR", 99),
            package("eur-5-b", 340, "EUR", 499),
        ]
    )
    return catalog


async def gift_pages(client: Client, request: ListGiftsRequest) -> AsyncIterator[list[CatalogGift]]:
    while True:
        page = await client.catalog.ListGifts(request)
        yield list(page.gifts)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def package_ids(client: Client, request: ListCoinPackagesRequest) -> list[str]:
    ids: list[str] = []
    while True:
        page = await client.catalog.ListCoinPackages(request)
        ids += [package.package_id for package in page.packages]
        if not page.next_page_token:
            return ids
        request.page_token = page.next_page_token


async def listed(client: Client, country: str = "DE") -> dict[str, CoinPackage]:
    request = ListCoinPackagesRequest(country_code=country)
    response = await client.catalog.ListCoinPackages(request)
    return {package.package_id: package for package in response.packages}


async def test_gifts_are_listed_cheapest_first(shop: Client) -> None:
    version = await apply(shop, five_gifts())
    response = await shop.catalog.ListGifts(ListGiftsRequest())
    assert [each.gift_id for each in response.gifts] == ["rose", "bear", "cake", "kite", "lion"]
    assert response.catalog_version == version
    assert response.next_page_token == ""


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_pages_of_gifts_add_up_to_the_list(shop: Client, size: int) -> None:
    await apply(shop, five_gifts())
    pages = [page async for page in gift_pages(shop, ListGiftsRequest(page_size=size))]
    whole = await shop.catalog.ListGifts(ListGiftsRequest())
    assert [each for page in pages for each in page] == list(whole.gifts)
    assert all(len(page) == size for page in pages[:-1])


async def test_gifts_off_sale_are_listed_on_demand(shop: Client) -> None:
    await apply(shop, five_gifts())
    await apply(shop, example())
    on_sale = await shop.catalog.ListGifts(ListGiftsRequest())
    every = await shop.catalog.ListGifts(ListGiftsRequest(include_off_sale=True, page_size=1_000))
    assert [each.gift_id for each in on_sale.gifts] == ["rose", "lion"]
    assert gift("kite", 9, off_sale=True) in every.gifts
    assert gift("lion", 29_999) in every.gifts


async def test_packages_are_listed_cheapest_first_in_the_currency_of_the_country(
    shop: Client,
) -> None:
    await apply(shop, five_packages())
    for country in ("DE", "FR"):
        request = ListCoinPackagesRequest(country_code=country)
        assert await package_ids(shop, request) == ["eur-1", "eur-5", "eur-5-b", "eur-10", "eur-50"]
    assert await package_ids(shop, ListCoinPackagesRequest(country_code="JP")) == ["jpy-5"]


async def test_nothing_is_sold_in_a_country_whose_currency_no_package_has(shop: Client) -> None:
    catalog = example()
    catalog.currency_by_country["CH"] = "CHF"
    await apply(shop, catalog)
    assert await listed(shop, "CH") == {}


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_pages_of_packages_add_up_to_the_list(shop: Client, size: int) -> None:
    await apply(shop, five_packages())
    paged = ListCoinPackagesRequest(country_code="DE", page_size=size)
    whole = ListCoinPackagesRequest(country_code="DE")
    assert await package_ids(shop, paged) == await package_ids(shop, whole)


async def test_packages_are_listed_while_they_are_sold(shop: Client) -> None:
    now, catalog = datetime.now(UTC), example()
    catalog.packages.extend(package(name, 1, "EUR", 1) for name in ("past", "now", "soon"))
    past, current, soon = catalog.packages[-3:]
    past.end_time.CopyFrom(stamp(now - HOUR))
    current.start_time.CopyFrom(stamp(now - HOUR))
    current.end_time.CopyFrom(stamp(now + HOUR))
    soon.start_time.CopyFrom(stamp(now + HOUR))
    await apply(shop, catalog)
    everything = ListCoinPackagesRequest(country_code="DE", include_off_sale=True, page_size=1_000)
    assert set(await listed(shop)) == {"now", "eur-5", "eur-10"}
    assert set(await package_ids(shop, everything)) >= {"past", "now", "soon", "eur-5", "eur-10"}


async def test_the_bonus_of_the_best_promotion_of_now_is_listed(shop: Client) -> None:
    now, catalog = datetime.now(UTC), example()
    catalog.promotions.extend(
        [
            promotion("all", rational(1, 10), start=now - HOUR),
            promotion("one", rational(1, 5), "eur-5", start=now - HOUR),
            promotion("over", rational(1), start=now - 2 * HOUR, hours=1),
            promotion("to-come", rational(1), start=now + HOUR),
        ]
    )
    await apply(shop, catalog)
    packages = await listed(shop)
    assert (packages["eur-5"].coins, packages["eur-5"].bonus_coins) == (350, 70)
    assert (packages["eur-10"].coins, packages["eur-10"].bonus_coins) == (700, 70)


async def test_a_bonus_that_was_listed_is_not_in_the_catalog(shop: Client) -> None:
    catalog = example()
    catalog.promotions.append(promotion("p", rational(1, 10), start=datetime.now(UTC) - HOUR))
    version = await apply(shop, catalog)
    await listed(shop)
    assert await apply(shop, catalog) == version


async def test_a_token_of_gifts_refuses_another_list(shop: Client) -> None:
    await apply(shop, five_gifts())
    token = (await shop.catalog.ListGifts(ListGiftsRequest(page_size=1))).next_page_token
    first = ListCoinPackagesRequest(country_code="DE", page_size=1)
    of_packages = (await shop.catalog.ListCoinPackages(first)).next_page_token
    for request in (
        ListGiftsRequest(page_token=token, include_off_sale=True),
        ListGiftsRequest(page_token=of_packages),
        ListGiftsRequest(page_token="not a token"),
    ):
        with pytest.raises(giftpay.InvalidArgument) as invalid:
            await shop.catalog.ListGifts(request)
        assert invalid.value.field == "page_token"


async def test_a_token_of_packages_refuses_another_list(shop: Client) -> None:
    await apply(shop, five_packages())
    first = ListCoinPackagesRequest(country_code="DE", page_size=1)
    token = (await shop.catalog.ListCoinPackages(first)).next_page_token
    of_gifts = (await shop.catalog.ListGifts(ListGiftsRequest(page_size=1))).next_page_token
    for request in (
        ListCoinPackagesRequest(country_code="JP", page_token=token),
        ListCoinPackagesRequest(country_code="DE", page_token=token, include_off_sale=True),
        ListCoinPackagesRequest(country_code="DE", page_token=of_gifts),
    ):
        with pytest.raises(giftpay.InvalidArgument) as invalid:
            await shop.catalog.ListCoinPackages(request)
        assert invalid.value.field == "page_token"


async def test_page_tokens_refuse_a_changed_catalog(shop: Client) -> None:
    await apply(shop, example())
    await apply(shop, five_gifts())
    first = await shop.catalog.ListGifts(ListGiftsRequest(page_size=1))
    await apply(shop, example())
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await shop.catalog.ListGifts(ListGiftsRequest(page_token=first.next_page_token))
    assert invalid.value.field == "page_token"


async def test_a_page_size_below_zero_is_malformed(shop: Client) -> None:
    await apply(shop, example())
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await shop.catalog.ListGifts(ListGiftsRequest(page_size=-1))
    assert invalid.value.field == "page_size"


@pytest.mark.parametrize("country", ["", "de", "DEU"])
async def test_a_country_has_two_capital_letters(shop: Client, country: str) -> None:
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await listed(shop, country)
    assert invalid.value.field == "country_code"


async def test_nothing_is_listed_before_a_catalog_is_applied(new_shop: Client) -> None:
    with pytest.raises(giftpay.NoCatalog) as missing:
        await new_shop.catalog.ListGifts(ListGiftsRequest())
    assert missing.value.code is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(giftpay.NoCatalog):
        await listed(new_shop)
