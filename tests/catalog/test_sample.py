"""The sample catalog, and when a server applies it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby, pairwise

import pytest
from giftpay.catalog_file import load_catalog
from giftpay.client import connect
from giftpay.v1 import ApplyCatalogRequest, Catalog, CoinPackage, GetCatalogRequest
from giftpay_server.app import Running, serving
from giftpay_server.catalog.form import valid_catalog
from giftpay_server.catalog.sample import SAMPLE, load_sample
from giftpay_server.config import Config

from tests.catalog.examples import example
from tests.conftest import verify


@pytest.fixture(scope="session")
def sample() -> Catalog:
    return load_catalog(SAMPLE)


def by_currency(sample: Catalog) -> Iterator[tuple[str, list[CoinPackage]]]:
    def currency(package: CoinPackage) -> str:
        return package.price.currency_code

    for code, packages in groupby(sorted(sample.packages, key=currency), key=currency):
        yield code, sorted(packages, key=lambda package: package.price.minor_units)


def test_the_sample_is_well_formed(sample: Catalog) -> None:
    valid_catalog(sample)


def test_a_dearer_package_of_the_sample_never_gives_fewer_coins_for_the_money(
    sample: Catalog,
) -> None:
    for _, packages in by_currency(sample):
        for small, big in pairwise(packages):
            assert small.coins * big.price.minor_units <= big.coins * small.price.minor_units


def test_a_diamond_of_the_sample_pays_less_than_its_coin_cost(sample: Catalog) -> None:
    cheapest = {code: packages[-1] for code, packages in by_currency(sample)}
    for rate in sample.payout_rates:
        paid, package = rate.minor_units_per_diamond, cheapest[rate.currency_code]
        assert paid.numerator * package.coins < package.price.minor_units * paid.denominator


def test_every_country_of_the_sample_has_packages(sample: Catalog) -> None:
    assert set(sample.currency_by_country.values()) <= {code for code, _ in by_currency(sample)}


async def versions(running: Running) -> int:
    return int(await running.parts.pool.fetchval("SELECT count(*) FROM catalog"))


async def test_servers_that_start_at_once_load_the_sample_once(
    new_database: Callable[[], Awaitable[str]], sample: Catalog
) -> None:
    config = Config(listen="127.0.0.1:0", database_url=await new_database())
    async with serving(config) as one, serving(config) as other, connect(one.address) as client:
        await asyncio.gather(load_sample(one.parts.journal), load_sample(other.parts.journal))
        assert await versions(one) == 1
        current = (await client.catalog.GetCatalog(GetCatalogRequest())).catalog
        assert len(current.gifts) == len(sample.gifts)
        await verify(client)


async def test_the_sample_replaces_no_catalog_that_was_applied(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    config = Config(listen="127.0.0.1:0", database_url=await new_database())
    async with serving(config) as running, connect(running.address) as client:
        await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=example()))
        await load_sample(running.parts.journal)
        assert await versions(running) == 1
        await verify(client)


async def test_a_later_start_does_not_bring_the_sample_back(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    config = Config(listen="127.0.0.1:0", database_url=await new_database())
    async with serving(config) as running, connect(running.address) as client:
        await load_sample(running.parts.journal)
        await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=example()))
        await load_sample(running.parts.journal)
        current = (await client.catalog.GetCatalog(GetCatalogRequest())).catalog
        assert current.version == 2
        await verify(client)
