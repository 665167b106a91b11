"""Prices items and packages, and quotes diamonds, by one version of the catalog. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from giftpay.v1 import (
    ERROR_REASON_BELOW_MINIMUM,
    ERROR_REASON_CURRENCY_NOT_SUPPORTED,
    ERROR_REASON_GIFT_OFF_SALE,
    ERROR_REASON_NO_CATALOG,
    ERROR_REASON_PACKAGE_NOT_SOLD_IN_COUNTRY,
    ERROR_REASON_PACKAGE_OFF_SALE,
    ERROR_REASON_PRICE_CHANGED,
    ERROR_REASON_UNKNOWN_GIFT,
    ERROR_REASON_UNKNOWN_PACKAGE,
    CoinPackage,
    ErrorReason,
    Money,
    PayoutRate,
    Promotion,
    Rational,
)
from google.protobuf.timestamp_pb2 import Timestamp

from giftpay_server.catalog.rules import Catalog, times
from giftpay_server.ledger.gates import require_amount_limit
from giftpay_server.ledger.model import Refused, refuse


class PackagePrice(NamedTuple):
    """The price and the coins of one package."""

    price: Money
    coins: int  # bought
    bonus_coins: int  # on top, by the best promotion


class Priced(Protocol):
    """Something in the catalog that is sold for coins."""

    @property
    def coins(self) -> int: ...
    @property
    def off_sale(self) -> bool: ...


class ItemKind(NamedTuple):
    """A kind of items sold for coins, with the reasons and figures of their refusals."""

    items: Callable[[Catalog], Mapping[str, Priced]]
    id_figure: str
    unknown: ErrorReason.ValueType
    off_sale: ErrorReason.ValueType


GIFT = ItemKind(
    items=lambda catalog: catalog.gifts,
    id_figure="gift_id",
    unknown=ERROR_REASON_UNKNOWN_GIFT,
    off_sale=ERROR_REASON_GIFT_OFF_SALE,
)


class Quote(NamedTuple):
    """The value of diamonds in one currency; money in minor units."""

    currency_code: str
    gross: int  # at the rate, rounded down
    fee: int  # the platform's
    amount: int  # paid out: gross - fee, above zero
    minor_units_per_diamond: Rational
    minimum_diamonds: int


def price_item(
    catalog: Catalog | None, kind: ItemKind, item_id: str, *, count: int, expected: int | None
) -> int | Refused:
    """The price of `count` items in coins; `expected` is the price that the caller assumes.

    Refused with NO_CATALOG, the kind's own two reasons, PRICE_CHANGED and AMOUNT_LIMIT.
    """
    if catalog is None:
        return refuse(ERROR_REASON_NO_CATALOG)
    item, version = kind.items(catalog).get(item_id), catalog.version
    if item is None or item.off_sale:
        reason = kind.unknown if item is None else kind.off_sale
        return Refused(reason, {kind.id_figure: item_id, "catalog_version": str(version)})
    coins = item.coins * count
    if expected is not None and expected != coins:
        return refuse(
            ERROR_REASON_PRICE_CHANGED, expected=expected, actual=coins, catalog_version=version
        )
    return require_amount_limit(coins) or coins


def price_package(
    catalog: Catalog | None, package_id: str, *, country: str, now: datetime
) -> PackagePrice | Refused:
    """The price of a package for a buyer in a country (ISO 3166-1 alpha-2) at a time.

    Refused with NO_CATALOG, UNKNOWN_PACKAGE, PACKAGE_OFF_SALE and PACKAGE_NOT_SOLD_IN_COUNTRY.
    """
    if catalog is None:
        return refuse(ERROR_REASON_NO_CATALOG)
    package, version = catalog.packages.get(package_id), catalog.version
    if package is None:
        return refuse(ERROR_REASON_UNKNOWN_PACKAGE, package_id=package_id, catalog_version=version)
    if not is_sold(package, now):
        return refuse(ERROR_REASON_PACKAGE_OFF_SALE, package_id=package_id, catalog_version=version)
    if package.price.currency_code != currency_in(catalog, country):
        return refuse(
            ERROR_REASON_PACKAGE_NOT_SOLD_IN_COUNTRY, package_id=package_id, country_code=country
        )
    bonus_coins = bonus(package, promotions_at(catalog, now))
    return PackagePrice(package.price, package.coins, bonus_coins)


def quote(catalog: Catalog | None, diamonds: int, currency_code: str) -> Quote | Refused:
    """The value of diamonds, 1 or more, in a currency (ISO 4217).

    Refused with NO_CATALOG, CURRENCY_NOT_SUPPORTED, BELOW_MINIMUM and AMOUNT_LIMIT.
    """
    if catalog is None:
        return refuse(ERROR_REASON_NO_CATALOG)
    rate = catalog.payout_rates.get(currency_code)
    if rate is None:
        return refuse(
            ERROR_REASON_CURRENCY_NOT_SUPPORTED,
            currency_code=currency_code,
            catalog_version=catalog.version,
        )
    if diamonds < rate.minimum_diamonds:
        return refuse(
            ERROR_REASON_BELOW_MINIMUM,
            diamonds=diamonds,
            minimum=rate.minimum_diamonds,
            currency_code=currency_code,
        )
    return _quoted(rate, diamonds)


def _quoted(rate: PayoutRate, diamonds: int) -> Quote | Refused:
    gross, fee = times(diamonds, rate.minor_units_per_diamond), rate.fee_minor_units
    if refused := require_amount_limit(max(diamonds, gross)):
        return refused
    return Quote(
        currency_code=rate.currency_code,
        gross=gross,
        fee=fee,
        amount=gross - fee,
        minor_units_per_diamond=rate.minor_units_per_diamond,
        minimum_diamonds=rate.minimum_diamonds,
    )


def currency_in(catalog: Catalog, country: str) -> str:
    """The currency of the packages sold in a country."""
    message = catalog.message
    # `get`, since indexing would add the country to the message.
    return message.currency_by_country.get(country) or message.default_currency_code


def is_sold(package: CoinPackage, now: datetime) -> bool:
    """Whether a package is on sale at a time, somewhere."""
    return not package.off_sale and _is_valid(package, now)


def promotions_at(catalog: Catalog, now: datetime) -> Sequence[Promotion]:
    """The promotions that apply at a time."""
    return [promotion for promotion in catalog.message.promotions if _is_valid(promotion, now)]


def bonus(package: CoinPackage, promotions: Sequence[Promotion]) -> int:
    """The bonus coins of the best promotion for a package; 0 if there is none."""
    return max(
        (
            times(package.coins, promotion.bonus_per_coin)
            for promotion in promotions
            if not promotion.package_ids or package.package_id in promotion.package_ids
        ),
        default=0,
    )


def _is_valid(timed: CoinPackage | Promotion, now: datetime) -> bool:
    """Whether start <= now < end; unset bounds are open."""
    return not (
        (timed.HasField("start_time") and now < _time(timed.start_time))
        or (timed.HasField("end_time") and now >= _time(timed.end_time))
    )


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
