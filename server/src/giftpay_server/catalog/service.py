"""CatalogService: parse, record, answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

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
from giftpay_server.wire.pages import Page, open_page
from giftpay_server.wire.refusals import RefusedError

Item = TypeVar("Item")


class CatalogService:
    """Implements giftpay.v1.CatalogService."""

    def __init__(
        self, journal: Journal, pool: Pool, catalogs: Catalogs, clock: Callable[[], datetime]
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._catalogs = catalogs
        self._clock = clock

    async def ListCoinPackages(
        self, request: ListCoinPackagesRequest, call: Call
    ) -> ListCoinPackagesResponse:
        catalog, off_sale = await self._current(), request.include_off_sale
        page = open_page(request, catalog.version)
        now, currency = self._clock(), currency_in(catalog, request.country_code)
        found = [
            package
            for package in _rest(catalog.packages, page)
            if package.price.currency_code == currency and (off_sale or is_sold(package, now))
        ]
        shown, next_page_token = page.cut(found, lambda package: [package.package_id])
        promotions = promotions_at(catalog, now)
        return ListCoinPackagesResponse(
            packages=[_with_bonus(package, bonus(package, promotions)) for package in shown],
            next_page_token=next_page_token,
            catalog_version=catalog.version,
        )

    async def ListGifts(self, request: ListGiftsRequest, call: Call) -> ListGiftsResponse:
        catalog, off_sale = await self._current(), request.include_off_sale
        page = open_page(request, catalog.version)
        found = [gift for gift in _rest(catalog.gifts, page) if off_sale or not gift.off_sale]
        shown, next_page_token = page.cut(found, lambda gift: [gift.gift_id])
        return ListGiftsResponse(
            gifts=shown, next_page_token=next_page_token, catalog_version=catalog.version
        )

    async def GetCatalog(self, request: GetCatalogRequest, call: Call) -> GetCatalogResponse:
        catalog = await (self._at(request.version) if request.version else self._current())
        return GetCatalogResponse(catalog=catalog.message)

    async def ApplyCatalog(self, request: ApplyCatalogRequest, call: Call) -> ApplyCatalogResponse:
        outcome = await carry_out(self._journal, apply_command(ask(request, call)))
        version = outcome.transaction.catalog_version
        return ApplyCatalogResponse(version=version, replayed=outcome.replayed)

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


def _rest(listed: Mapping[str, Item], page: Page) -> Iterator[Item]:
    """The items after the previous page, in the order of the catalog."""
    items = iter(listed.items())
    if page.position is not None:
        for item_id, _ in items:
            if item_id == page.position[0]:
                break
    return (item for _, item in items)


def _with_bonus(package: CoinPackage, bonus_coins: int) -> CoinPackage:
    shown = CoinPackage()
    shown.CopyFrom(package)
    shown.bonus_coins = bonus_coins
    return shown
