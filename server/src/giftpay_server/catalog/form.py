"""Validates the form of a whole catalog: the bounds of its fields, and their consistency."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from giftpay.v1 import Catalog, CoinPackage, PayoutRate, Promotion, Rational
from giftpay.v1.options_pb2 import FORM_COUNTRY, FORM_CURRENCY

from giftpay_server.catalog.rules import times
from giftpay_server.ledger.model import AMOUNT_LIMIT
from giftpay_server.wire.bounds import text_violations, violations
from giftpay_server.wire.fields import InvalidArgumentError

REPORTED_MAX = 20  # fields; a status is sent in trailers, which peers bound to 8 KiB
ON_SALE_MAX = 1_000  # gifts, and packages
BONUS_MAX = 100  # coins for each coin bought

RATIONAL = ("numerator", "denominator")
PAYOUT_RATE = (
    "fee_minor_units",
    "minimum_diamonds",
    *(f"minor_units_per_diamond.{part}" for part in RATIONAL),
)

Malformed = Iterator[InvalidArgumentError]


def valid_catalog(catalog: Catalog) -> None:
    """Raises InvalidArgumentError for the first malformed field, with up to 19 others."""
    found = list(islice(violations(catalog, "catalog."), REPORTED_MAX))
    # Checks that calculate skip fields that are malformed themselves.
    malformed_fields = {each.field for each in found}
    found += islice(_disagreements(catalog, malformed_fields), REPORTED_MAX - len(found))
    if found:
        raise InvalidArgumentError(found[0].field, found[0].limit, others=found[1:])


def _disagreements(catalog: Catalog, malformed_fields: Collection[str]) -> Malformed:
    yield from _packages(catalog.packages)
    yield from _gifts(catalog, malformed_fields)
    yield from _promotions(catalog, malformed_fields)
    yield from _payout_rates(catalog.payout_rates, malformed_fields)
    yield from _currencies(catalog)


def _packages(packages: Sequence[CoinPackage]) -> Malformed:
    yield from _on_sale([package.off_sale for package in packages], "catalog.packages")
    ids = [package.package_id for package in packages]
    yield from _distinct(ids, "catalog.packages[{}].package_id")
    for number, package in enumerate(packages):
        yield from _period(package, f"catalog.packages[{number}]")


def _gifts(catalog: Catalog, malformed_fields: Collection[str]) -> Malformed:
    yield from _on_sale([gift.off_sale for gift in catalog.gifts], "catalog.gifts")
    yield from _distinct([gift.gift_id for gift in catalog.gifts], "catalog.gifts[{}].gift_id")
    if not _is_sound(malformed_fields, "catalog.diamonds_per_coin", *RATIONAL):
        return
    for number, gift in enumerate(catalog.gifts):
        path = f"catalog.gifts[{number}].coins"
        is_movable = 1 <= times(gift.coins, catalog.diamonds_per_coin) <= AMOUNT_LIMIT
        if not (gift.off_sale or is_movable or path in malformed_fields):
            yield InvalidArgumentError(path, f"a price that earns 1..{AMOUNT_LIMIT} diamonds")


def _promotions(catalog: Catalog, malformed_fields: Collection[str]) -> Malformed:
    ids = [promotion.promotion_id for promotion in catalog.promotions]
    yield from _distinct(ids, "catalog.promotions[{}].promotion_id")
    known = {package.package_id for package in catalog.packages}
    for number, promotion in enumerate(catalog.promotions):
        path = f"catalog.promotions[{number}]"
        for place, package_id in enumerate(promotion.package_ids):
            if package_id not in known:
                yield InvalidArgumentError(
                    f"{path}.package_ids[{place}]", "a package of this catalog"
                )
        yield from _bonus(promotion.bonus_per_coin, f"{path}.bonus_per_coin", malformed_fields)
        yield from _period(promotion, path)


def _bonus(per_coin: Rational, path: str, malformed_fields: Collection[str]) -> Malformed:
    most = BONUS_MAX * per_coin.denominator
    if per_coin.numerator > most and _is_sound(malformed_fields, path, *RATIONAL):
        yield InvalidArgumentError(path, f"at most {BONUS_MAX}")


def _payout_rates(rates: Sequence[PayoutRate], malformed_fields: Collection[str]) -> Malformed:
    codes = [rate.currency_code for rate in rates]
    yield from _distinct(codes, "catalog.payout_rates[{}].currency_code")
    for number, rate in enumerate(rates):
        path = f"catalog.payout_rates[{number}]"
        if _is_sound(malformed_fields, path, *PAYOUT_RATE) and not _is_payable(rate):
            limit = f"worth more than the fee, and at most {AMOUNT_LIMIT} minor units"
            yield InvalidArgumentError(f"{path}.minimum_diamonds", limit)


def _is_payable(rate: PayoutRate) -> bool:
    worth = times(rate.minimum_diamonds, rate.minor_units_per_diamond)
    return rate.fee_minor_units < worth <= AMOUNT_LIMIT


def _currencies(catalog: Catalog) -> Malformed:
    path = "catalog.currency_by_country"
    for country, currency in sorted(catalog.currency_by_country.items()):
        malformed = list(text_violations(country, FORM_COUNTRY, path))
        yield from malformed or text_violations(currency, FORM_CURRENCY, f"{path}[{country}]")
    sold = {package.price.currency_code for package in catalog.packages if not package.off_sale}
    if catalog.default_currency_code not in sold:
        yield InvalidArgumentError("catalog.default_currency_code", "that of a package on sale")


def _on_sale(off_sale: Sequence[bool], path: str) -> Malformed:
    if off_sale.count(False) > ON_SALE_MAX:
        yield InvalidArgumentError(path, f"at most {ON_SALE_MAX} on sale")


def _distinct(ids: Iterable[str], path: str) -> Malformed:
    seen: set[str] = set()
    for number, item_id in enumerate(ids):
        if item_id in seen:
            yield InvalidArgumentError(path.format(number), "unlike those before it")
        seen.add(item_id)


def _period(timed: CoinPackage | Promotion, path: str) -> Malformed:
    start, end = timed.start_time, timed.end_time
    bounded = timed.HasField("start_time") and timed.HasField("end_time")
    if bounded and (start.seconds, start.nanos) >= (end.seconds, end.nanos):
        yield InvalidArgumentError(f"{path}.end_time", "after start_time")


def _is_sound(malformed_fields: Collection[str], path: str, *fields: str) -> bool:
    return not any(f"{path}.{field}" in malformed_fields for field in fields)
