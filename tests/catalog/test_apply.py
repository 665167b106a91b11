"""ApplyCatalog and GetCatalog over the wire."""

from __future__ import annotations

import asyncpg
import giftpay
import grpc
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    ApplyCatalogRequest,
    ApplyCatalogResponse,
    Catalog,
    CatalogGift,
    GetCatalogRequest,
)
from giftpay_server.catalog import store

from tests.catalog.examples import example, gift


def with_gift(gift_id: str, coins: int = 10) -> Catalog:
    catalog = example()
    catalog.gifts.append(gift(gift_id, coins))
    return catalog


async def apply(client: Client, catalog: Catalog, key: str = "") -> ApplyCatalogResponse:
    request = ApplyCatalogRequest(idempotency_key=key, catalog=catalog)
    return await client.catalog.ApplyCatalog(request)


async def read(client: Client, version: int = 0) -> Catalog:
    response = await client.catalog.GetCatalog(GetCatalogRequest(version=version))
    return response.catalog


async def test_a_catalog_that_was_applied_is_read_back(shop: Client) -> None:
    applied = await apply(shop, with_gift("castle", 12_345))
    current = await read(shop)
    assert current.version == applied.version
    assert current.HasField("create_time")
    assert CatalogGift(gift_id="castle", name="Castle", coins=12_345) in current.gifts
    assert current.payout_rates == example().payout_rates


async def test_earlier_versions_stay_as_they_were(shop: Client) -> None:
    first = await apply(shop, with_gift("boat", 10))
    as_it_was = await read(shop)
    second = await apply(shop, with_gift("boat", 20))
    assert second.version == first.version + 1
    assert await read(shop, first.version) == as_it_was


async def test_versions_beyond_those_in_memory_are_read_again(
    shop: Client, shop_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "KEPT_MAX", 1)
    first = (await apply(shop, with_gift("old"))).version
    second = (await apply(shop, with_gift("new"))).version
    catalogs, connection = store.Catalogs(), await asyncpg.connect(shop_dsn)
    for version, gift_id in ((first, "old"), (second, "new"), (first, "old")):
        catalog = await catalogs.at(connection, version)
        assert catalog is not None
        assert not catalog.gifts[gift_id].off_sale
    await connection.close()


async def test_a_gift_that_is_no_longer_named_is_read_off_sale(shop: Client) -> None:
    await apply(shop, with_gift("comet", 77))
    await apply(shop, example())
    assert gift("comet", 77, off_sale=True) in (await read(shop)).gifts


async def test_an_equal_catalog_makes_no_new_version(shop: Client) -> None:
    first = await apply(shop, with_gift("ring"))
    again = await apply(shop, with_gift("ring"))
    assert (again.version, again.replayed) == (first.version, False)


async def test_a_catalog_as_it_was_read_makes_no_new_version(shop: Client) -> None:
    first = await apply(shop, with_gift("ring"))
    again = await apply(shop, await read(shop))
    assert again.version == first.version


async def test_a_retry_gets_the_first_answer_even_after_other_catalogs(shop: Client) -> None:
    key = giftpay.new_key()
    first = await apply(shop, with_gift("tower"), key)
    await apply(shop, with_gift("bridge"))
    again = await apply(shop, with_gift("tower"), key)
    assert (again.version, again.replayed) == (first.version, True)
    assert (await read(shop)).version == first.version + 1


async def test_a_key_belongs_to_one_catalog(shop: Client) -> None:
    key = giftpay.new_key()
    await apply(shop, with_gift("tower"), key)
    with pytest.raises(giftpay.KeyReused) as reused:
        await apply(shop, with_gift("bridge"), key)
    assert reused.value.fields == ("catalog",)


async def test_a_catalog_with_another_expected_version_is_refused_and_pinned(shop: Client) -> None:
    base = (await apply(shop, with_gift("garden"))).version
    current = (await apply(shop, with_gift("forest"))).version
    stale = ApplyCatalogRequest(
        idempotency_key=giftpay.new_key(), catalog=with_gift("meadow"), expected_version=base
    )
    for _ in range(2):
        with pytest.raises(giftpay.CatalogVersionConflict) as conflict:
            await shop.catalog.ApplyCatalog(stale)
        assert conflict.value.code is grpc.StatusCode.ABORTED
        assert conflict.value.expected_version == base
        assert conflict.value.current_version == current
    assert (await read(shop)).version == current


async def test_a_catalog_built_on_the_current_version_is_applied(shop: Client) -> None:
    current = (await apply(shop, with_gift("garden"))).version
    request = ApplyCatalogRequest(catalog=with_gift("forest"), expected_version=current)
    assert (await shop.catalog.ApplyCatalog(request)).version == current + 1


async def test_the_first_catalog_may_expect_that_there_is_none(new_shop: Client) -> None:
    request = ApplyCatalogRequest(catalog=example(), expected_version=0)
    assert (await new_shop.catalog.ApplyCatalog(request)).version == 1


async def test_a_malformed_catalog_is_refused_with_every_field(shop: Client) -> None:
    version = (await apply(shop, example())).version
    catalog = example()
    catalog.packages[0].price.minor_units = 0
    catalog.gifts[1].gift_id = "rose"
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await apply(shop, catalog)
    assert invalid.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert invalid.value.field == "catalog.packages[0].price.minor_units"
    assert invalid.value.limit == "1..1000000000000"
    assert invalid.value.violations == (
        (
            "catalog.packages[0].price.minor_units",
            "catalog.packages[0].price.minor_units: must be 1..1000000000000.",
        ),
        ("catalog.gifts[1].gift_id", "catalog.gifts[1].gift_id: must be unlike those before it."),
    )
    assert (await read(shop)).version == version


async def test_a_catalog_with_many_malformed_fields_is_refused_with_some_of_them(
    shop: Client,
) -> None:
    catalog = example()
    for _ in range(1_000):
        catalog.payout_rates.add().minor_units_per_diamond.denominator = -1
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await apply(shop, catalog)
    assert len(invalid.value.violations) == 20


async def test_the_key_of_a_malformed_catalog_may_be_used_again(shop: Client) -> None:
    key, catalog = giftpay.new_key(), with_gift("no blanks")
    with pytest.raises(giftpay.InvalidArgument):
        await apply(shop, catalog, key)
    catalog.gifts[-1].gift_id = "no-blanks"
    assert not (await apply(shop, catalog, key)).replayed


@pytest.mark.parametrize("expected", [-1, 2**31])
async def test_a_version_that_cannot_be_is_malformed(shop: Client, expected: int) -> None:
    request = ApplyCatalogRequest(catalog=example(), expected_version=expected)
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await shop.catalog.ApplyCatalog(request)
    assert (invalid.value.field, invalid.value.limit) == ("expected_version", "0..2147483647")


async def test_a_key_of_more_than_128_characters_is_malformed(shop: Client) -> None:
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await apply(shop, example(), "k" * 129)
    assert invalid.value.field == "idempotency_key"


async def test_there_is_no_catalog_before_one_is_applied(new_shop: Client) -> None:
    with pytest.raises(giftpay.NoCatalog) as missing:
        await read(new_shop)
    assert missing.value.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_version_that_never_was_is_not_found(shop: Client) -> None:
    with pytest.raises(giftpay.CatalogNotFound) as missing:
        await read(shop, 1_000_000)
    assert missing.value.code is grpc.StatusCode.NOT_FOUND
    assert missing.value.version == 1_000_000


@pytest.mark.parametrize("version", [-1, 2**31])
async def test_a_version_to_read_is_bounded(shop: Client, version: int) -> None:
    with pytest.raises(giftpay.InvalidArgument) as invalid:
        await read(shop, version)
    assert (invalid.value.field, invalid.value.limit) == ("version", "0..2147483647")
