"""CatalogService: parse, record, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from itertools import dropwhile, islice
from typing import Any, TypeVar

from giftpay.v1 import (
    ERROR_REASON_CATALOG_NOT_FOUND,
    ERROR_REASON_NO_CATALOG,
    ApplyCatalogRequest,
    ApplyCatalogResponse,
    CoinPackage,
    GetCatalogRequest,
    GetCatalogResponse,
    ListCoinPackagesRequest,
    ListCoinPackagesResponse,
    ListGiftsRequest,
    ListGiftsResponse,
)

from giftpay_server.catalog.messages import apply_command
from giftpay_server.catalog.pricing import bonus, currency_in, is_sold, promotions_at
from giftpay_server.catalog.rules import Catalog
from giftpay_server.catalog.store import Catalogs
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import refuse
from giftpay_server.postgres.pool import Pool
from giftpay_server.wire.commands import ask, carry_out
from giftpay_server.wire.identity import Call
from giftpay_server.wire.lane import ReadLane
from giftpay_server.wire.pages import Listing, open_page, read_page
from giftpay_server.wire.refusals import RefusedError

Item = TypeVar("Item")


class CatalogService:
    """Implements giftpay.v1.CatalogService."""

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        reads: ReadLane,
        catalogs: Catalogs,
        clock: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._reads = reads
        self._catalogs = catalogs
        self._clock = clock

    async def ListCoinPackages(self, request: ListCoinPackagesRequest, call: Call) -> bytes:
        catalog, off_sale = await self._current(), request.include_off_sale
        now, currency = self._clock(), currency_in(catalog, request.country_code)

        def is_listed(package: CoinPackage) -> bool:
            here = package.price.currency_code == currency
            return here and (off_sale or is_sold(package, now))

        promotions = promotions_at(catalog, now)
        listing = Listing(
            read=_reading(catalog.packages, is_listed),
            place=lambda package: package.package_id,
            show=lambda found: ListCoinPackagesResponse(
                packages=[_with_bonus(package, bonus(package, promotions)) for package in found],
                catalog_version=catalog.version,
            ),
        )
        return await self._page(request, catalog, listing)

    async def ListGifts(self, request: ListGiftsRequest, call: Call) -> bytes:
        catalog, off_sale = await self._current(), request.include_off_sale
        listing = Listing(
            read=_reading(catalog.gifts, lambda gift: off_sale or not gift.off_sale),
            place=lambda gift: gift.gift_id,
            show=lambda found: ListGiftsResponse(gifts=found, catalog_version=catalog.version),
        )
        return await self._page(request, catalog, listing)

    async def GetCatalog(self, request: GetCatalogRequest, call: Call) -> GetCatalogResponse:
        catalog = await (self._at(request.version) if request.version else self._current())
        return GetCatalogResponse(catalog=catalog.message)

    async def ApplyCatalog(self, request: ApplyCatalogRequest, call: Call) -> ApplyCatalogResponse:
        outcome = await carry_out(self._journal, apply_command(ask(request, call)))
        version = outcome.transaction.catalog_version
        return ApplyCatalogResponse(version=version, replayed=outcome.replayed)

    async def _page(
        self,
        request: ListCoinPackagesRequest | ListGiftsRequest,
        catalog: Catalog,
        listing: Listing[Any, str],
    ) -> bytes:
        page = open_page(request, catalog.version)
        return await read_page(self._reads, page, listing, first=page.text())

    async def _current(self) -> Catalog:
        async with self._pool.acquire() as connection:
            catalog = await self._catalogs.current(connection)
        if catalog is None:
            raise RefusedError(refuse(ERROR_REASON_NO_CATALOG))
        return catalog

    async def _at(self, version: int) -> Catalog:
        async with self._pool.acquire() as connection:
            catalog = await self._catalogs.at(connection, version)
        if catalog is None:
            raise RefusedError(refuse(ERROR_REASON_CATALOG_NOT_FOUND, version=version))
        return catalog


def _reading(
    listed: Mapping[str, Item], is_listed: Callable[[Item], bool]
) -> Callable[[str, int], Awaitable[list[Item]]]:
    """Reads what follows an id in the order of the catalog; what follows no id is all of it."""

    async def read(after_id: str, limit: int) -> list[Item]:
        ids = iter(listed)
        rest = dropwhile(lambda item_id: item_id != after_id, ids) if after_id else ids
        following = (listed[item_id] for item_id in rest if item_id != after_id)
        return list(islice(filter(is_listed, following), limit))

    return read


def _with_bonus(package: CoinPackage, bonus_coins: int) -> CoinPackage:
    shown = CoinPackage()
    shown.CopyFrom(package)
    shown.bonus_coins = bonus_coins
    return shown
