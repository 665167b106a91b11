"""The form of a whole catalog: every field that is malformed, not only the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from giftpay.v1 import Catalog, CoinPackage, Money, PayoutRate, Promotion, Rational

from giftpay_server.catalog.rules import times
from giftpay_server.ledger.model import AMOUNT_LIMIT
from giftpay_server.wire.fields import (
    InvalidArgumentError,
    valid_country,
    valid_currency,
    valid_id,
    valid_number,
    valid_text,
    valid_time,
)

TOLD_MAX = 20  # fields; a status travels in trailers, and peers bound those to 8 KiB
ON_SALE_MAX = 1_000  # gifts, and packages
PROMOTIONS_MAX = 100
COINS_MAX = 10**9  # of one gift, and of one package
NAME_MAX = 100  # characters
BONUS_MAX = 100  # coins for each coin bought
RATIONAL_MAX = 10**9

Malformed = Iterator[InvalidArgumentError]


def valid_catalog(catalog: Catalog) -> None:
    """Raises InvalidArgumentError for the first malformed field, with up to 19 others."""
    found = list(islice(_catalog(catalog), TOLD_MAX))
    if found:
        raise InvalidArgumentError(found[0].field, found[0].limit, others=found[1:])


def _catalog(catalog: Catalog) -> Malformed:
    yield from _packages(catalog.packages)
    rate_malformed = list(_rational(catalog.diamonds_per_coin, "catalog.diamonds_per_coin"))
    yield from rate_malformed
    yield from _gifts(catalog, earned_at=None if rate_malformed else catalog.diamonds_per_coin)
    yield from _promotions(catalog)
    yield from _payout_rates(catalog.payout_rates)
    yield from _currencies(catalog)


def _packages(packages: Sequence[CoinPackage]) -> Malformed:
    yield from _on_sale([package.off_sale for package in packages], "catalog.packages")
    ids = [package.package_id for package in packages]
    yield from _distinct(valid_id, ids, "catalog.packages[{}].package_id")
    for number, package in enumerate(packages):
        path = f"catalog.packages[{number}]"
        yield from _price(package.price, f"{path}.price")
        yield from _unless(valid_number, package.coins, f"{path}.coins", least=1, most=COINS_MAX)
        yield from _period(package, path)


def _gifts(catalog: Catalog, *, earned_at: Rational | None) -> Malformed:
    yield from _on_sale([gift.off_sale for gift in catalog.gifts], "catalog.gifts")
    ids = [gift.gift_id for gift in catalog.gifts]
    yield from _distinct(valid_id, ids, "catalog.gifts[{}].gift_id")
    for number, gift in enumerate(catalog.gifts):
        path = f"catalog.gifts[{number}]"
        yield from _unless(valid_text, gift.name, f"{path}.name", least=1, most=NAME_MAX)
        if not 1 <= gift.coins <= COINS_MAX:
            yield InvalidArgumentError(f"{path}.coins", f"1..{COINS_MAX}")
        elif earned_at and not gift.off_sale and not _movable(times(gift.coins, earned_at)):
            limit = f"a price that earns 1..{AMOUNT_LIMIT} diamonds"
            yield InvalidArgumentError(f"{path}.coins", limit)


def _movable(amount: int) -> bool:
    return 1 <= amount <= AMOUNT_LIMIT


def _promotions(catalog: Catalog) -> Malformed:
    if len(catalog.promotions) > PROMOTIONS_MAX:
        yield InvalidArgumentError("catalog.promotions", f"at most {PROMOTIONS_MAX}")
    ids = [promotion.promotion_id for promotion in catalog.promotions]
    yield from _distinct(valid_id, ids, "catalog.promotions[{}].promotion_id")
    known = {package.package_id for package in catalog.packages}
    for number, promotion in enumerate(catalog.promotions):
        path = f"catalog.promotions[{number}]"
        for place, package_id in enumerate(promotion.package_ids):
            if package_id not in known:
                yield InvalidArgumentError(
                    f"{path}.package_ids[{place}]", "a package of this catalog"
                )
        yield from _bonus(promotion.bonus_per_coin, f"{path}.bonus_per_coin")
        yield from _period(promotion, path, required=True)


def _bonus(per_coin: Rational, path: str) -> Malformed:
    malformed = list(_rational(per_coin, path))
    yield from malformed
    if not malformed and per_coin.numerator > BONUS_MAX * per_coin.denominator:
        yield InvalidArgumentError(path, f"at most {BONUS_MAX}")


def _payout_rates(rates: Sequence[PayoutRate]) -> Malformed:
    codes = [rate.currency_code for rate in rates]
    yield from _distinct(valid_currency, codes, "catalog.payout_rates[{}].currency_code")
    for number, rate in enumerate(rates):
        path = f"catalog.payout_rates[{number}]"
        malformed = list(_payout_rate(rate, path))
        yield from malformed
        if not malformed and not rate.fee_minor_units < _least_worth(rate) <= AMOUNT_LIMIT:
            limit = f"worth more than the fee, and at most {AMOUNT_LIMIT} minor units"
            yield InvalidArgumentError(f"{path}.minimum_diamonds", limit)


def _payout_rate(rate: PayoutRate, path: str) -> Malformed:
    yield from _rational(rate.minor_units_per_diamond, f"{path}.minor_units_per_diamond")
    fee, minimum = rate.fee_minor_units, rate.minimum_diamonds
    yield from _unless(valid_number, fee, f"{path}.fee_minor_units", least=0, most=AMOUNT_LIMIT)
    yield from _unless(
        valid_number, minimum, f"{path}.minimum_diamonds", least=1, most=AMOUNT_LIMIT
    )


def _least_worth(rate: PayoutRate) -> int:
    return times(rate.minimum_diamonds, rate.minor_units_per_diamond)


def _currencies(catalog: Catalog) -> Malformed:
    for country, currency in sorted(catalog.currency_by_country.items()):
        malformed = list(_unless(valid_country, country, "catalog.currency_by_country"))
        yield from malformed or _unless(
            valid_currency, currency, f"catalog.currency_by_country[{country}]"
        )
    sold = {package.price.currency_code for package in catalog.packages if not package.off_sale}
    if catalog.default_currency_code not in sold:
        yield InvalidArgumentError("catalog.default_currency_code", "that of a package on sale")


def _on_sale(off_sale: Sequence[bool], path: str) -> Malformed:
    if off_sale.count(False) > ON_SALE_MAX:
        yield InvalidArgumentError(path, f"at most {ON_SALE_MAX} on sale")


def _distinct(valid: Callable[[str, str], str], ids: Iterable[str], path: str) -> Malformed:
    seen: set[str] = set()
    for number, item_id in enumerate(ids):
        yield from _unless(valid, item_id, path.format(number))
        if item_id in seen:
            yield InvalidArgumentError(path.format(number), "unlike those before it")
        seen.add(item_id)


def _price(price: Money, path: str) -> Malformed:
    yield from _unless(valid_currency, price.currency_code, f"{path}.currency_code")
    yield from _unless(
        valid_number, price.minor_units, f"{path}.minor_units", least=1, most=AMOUNT_LIMIT
    )


def _rational(rate: Rational, path: str) -> Malformed:
    for name in ("numerator", "denominator"):
        value = getattr(rate, name)
        yield from _unless(valid_number, value, f"{path}.{name}", least=1, most=RATIONAL_MAX)


def _period(timed: CoinPackage | Promotion, path: str, *, required: bool = False) -> Malformed:
    for name in ("start_time", "end_time"):
        if required and not timed.HasField(name):
            yield InvalidArgumentError(f"{path}.{name}", "set")
        yield from _unless(valid_time, getattr(timed, name), f"{path}.{name}")
    start, end = timed.start_time, timed.end_time
    bounded = timed.HasField("start_time") and timed.HasField("end_time")
    if bounded and (start.seconds, start.nanos) >= (end.seconds, end.nanos):
        yield InvalidArgumentError(f"{path}.end_time", "after start_time")


def _unless(valid: Callable[..., object], *value: object, **bounds: int) -> Malformed:
    try:
        valid(*value, **bounds)
    except InvalidArgumentError as error:
        yield error
