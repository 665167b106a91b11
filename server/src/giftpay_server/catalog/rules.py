"""The catalog, indexed for look-ups, and the rules of applying a new version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from giftpay.v1 import (
    ERROR_REASON_CATALOG_VERSION_CONFLICT,
    ApplyCatalogRequest,
    CatalogGift,
    CoinPackage,
    PayoutRate,
    Rational,
)
from giftpay.v1 import Catalog as CatalogMessage

from giftpay_server.ledger.model import Books, Decision, Posted, refuse
from giftpay_server.protobuf import timestamp

Item = TypeVar("Item", CatalogGift, CoinPackage)


@dataclass(frozen=True, slots=True)
class Catalog:
    """One version of the catalog, indexed by ids in the order of the lists."""

    version: int
    etag: int  # random: two catalogs differ in it, also if they have the same version
    message: CatalogMessage
    gifts: Mapping[str, CatalogGift]
    packages: Mapping[str, CoinPackage]
    payout_rates: Mapping[str, PayoutRate]

    @classmethod
    def of(cls, message: CatalogMessage, *, etag: int = 0) -> Catalog:
        return cls(
            version=message.version,
            etag=etag,
            message=message,
            gifts={gift.gift_id: gift for gift in message.gifts},
            packages={package.package_id: package for package in message.packages},
            payout_rates={rate.currency_code: rate for rate in message.payout_rates},
        )

    def diamonds(self, coins: int) -> int:
        """The diamonds that a gift of so many coins earns its recipient."""
        return times(coins, self.message.diamonds_per_coin)


def times(amount: int, rate: Rational) -> int:
    """The amount times the rate, rounded down."""
    return amount * rate.numerator // rate.denominator


class CatalogVersion(NamedTuple):
    """One version as it is stored."""

    version: int
    transaction_id: str  # of the command that applied it
    create_time: datetime
    etag: int
    body: bytes  # giftpay.v1.Catalog

    @property
    def key(self) -> int:
        return self.version


def apply_catalog(
    request: ApplyCatalogRequest, transaction_id: str, etag: int, books: Books
) -> Decision:
    """Applies the requested catalog as the next version, unless it equals the current one."""
    before = books.catalog.message if books.catalog is not None else CatalogMessage()
    if request.HasField("expected_version") and request.expected_version != before.version:
        return refuse(
            ERROR_REASON_CATALOG_VERSION_CONFLICT,
            expected_version=request.expected_version,
            current_version=before.version,
        )
    after = _following(before, request.catalog)
    if after == before:
        return Posted()
    after.version += 1
    after.create_time.CopyFrom(timestamp(books.now))
    body = after.SerializeToString()
    row = CatalogVersion(after.version, transaction_id, books.now, etag, body)
    return Posted(rows=(row,), catalog=Catalog.of(after, etag=etag))


def _following(before: CatalogMessage, asked: CatalogMessage) -> CatalogMessage:
    """The requested catalog with the items it no longer names, off sale; of the old version."""
    after = CatalogMessage()
    after.CopyFrom(asked)
    after.version = before.version
    after.create_time.CopyFrom(before.create_time)
    named = {gift.gift_id for gift in asked.gifts}
    after.gifts.extend(_off_sale(gift) for gift in before.gifts if gift.gift_id not in named)
    named = {package.package_id for package in asked.packages}
    after.packages.extend(
        _off_sale(package) for package in before.packages if package.package_id not in named
    )
    _sort(after)
    return after


def _off_sale(item: Item) -> Item:
    kept = type(item)()
    kept.CopyFrom(item)
    kept.off_sale = True
    return kept


def _sort(message: CatalogMessage) -> None:
    """Puts the catalog into canonical order, which is also the order of lists."""
    message.gifts.sort(key=lambda gift: (gift.coins, gift.gift_id))
    message.packages.sort(
        key=lambda each: (each.price.currency_code, each.price.minor_units, each.package_id)
    )
    message.promotions.sort(key=lambda promotion: promotion.promotion_id)
    for promotion in message.promotions:
        promotion.package_ids.sort()
    message.payout_rates.sort(key=lambda rate: rate.currency_code)
