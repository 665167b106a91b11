"""Every way in which a catalog can be malformed is refused with the name of the field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from giftpay.v1 import Catalog, CoinPackage, PayoutRate, Promotion, Rational
from giftpay_server.catalog.form import BONUS_MAX, ON_SALE_MAX, valid_catalog
from giftpay_server.ledger.model import AMOUNT_LIMIT
from giftpay_server.wire.fields import InvalidArgumentError
from google.protobuf.message import Message
from hypothesis import given

from tests.catalog.examples import (
    NOW,
    catalogs,
    example,
    gift,
    package,
    promotion,
    rational,
    stamp,
)

Spoil = Callable[[Catalog], object]


def malformed(catalog: Catalog) -> list[str]:
    """The fields that are named as malformed."""
    try:
        valid_catalog(catalog)
    except InvalidArgumentError as error:
        return [error.field, *(other.field for other in error.others)]
    return []


def put(find: Callable[[Catalog], Message], **values: object) -> Spoil:
    """Sets fields of a part of the catalog."""

    def spoil(catalog: Catalog) -> None:
        for name, value in values.items():
            setattr(find(catalog), name, value)

    return spoil


def whole(catalog: Catalog) -> Catalog:
    return catalog


def first_package(catalog: Catalog) -> CoinPackage:
    return catalog.packages[0]


def first_rate(catalog: Catalog) -> PayoutRate:
    return catalog.payout_rates[0]


def a_promotion(catalog: Catalog) -> Promotion:
    if not catalog.promotions:
        catalog.promotions.append(promotion("weekend", rational(1, 10), "eur-5"))
    return catalog.promotions[0]


def every_rate(set_one: Callable[[Rational], object]) -> Spoil:
    return lambda catalog: [
        set_one(rate)
        for rate in (
            catalog.diamonds_per_coin,
            a_promotion(catalog).bonus_per_coin,
            first_rate(catalog).minor_units_per_diamond,
        )
    ]


RATES = (
    "catalog.diamonds_per_coin",
    "catalog.promotions[0].bonus_per_coin",
    "catalog.payout_rates[0].minor_units_per_diamond",
)

SPOILED: list[tuple[str, Spoil]] = [
    ("packages[0].package_id", put(first_package, package_id="")),
    ("packages[0].package_id", put(first_package, package_id="no blanks")),
    ("packages[0].package_id", put(first_package, package_id="x" * 65)),
    ("packages[1].package_id", put(lambda c: c.packages[1], package_id="eur-5")),
    ("packages[0].price.currency_code", put(lambda c: c.packages[0].price, currency_code="eur")),
    ("packages[0].price.minor_units", put(lambda c: c.packages[0].price, minor_units=0)),
    ("packages[0].price.minor_units", put(lambda c: c.packages[0].price, minor_units=10**12 + 1)),
    ("packages[0].coins", put(first_package, coins=0)),
    ("packages[0].coins", put(first_package, coins=10**9 + 1)),
    ("packages[0].start_time", put(lambda c: c.packages[0].start_time, nanos=-1)),
    ("gifts[0].gift_id", put(lambda c: c.gifts[0], gift_id="rosé")),
    ("gifts[1].gift_id", put(lambda c: c.gifts[1], gift_id="rose")),
    ("gifts[0].name", put(lambda c: c.gifts[0], name="")),
    ("gifts[0].name", put(lambda c: c.gifts[0], name="x" * 101)),
    ("gifts[0].name", put(lambda c: c.gifts[0], name="a\0b")),
    ("gifts[0].coins", put(lambda c: c.gifts[0], coins=0)),
    ("gifts[0].coins", put(lambda c: c.gifts[0], coins=-5)),
    ("gifts[1].coins", put(lambda c: c.gifts[1], coins=10**9 + 1)),
    ("promotions[0].promotion_id", put(a_promotion, promotion_id="")),
    ("promotions[1].promotion_id", lambda c: c.promotions.extend([a_promotion(c)])),
    ("promotions[0].package_ids[1]", lambda c: a_promotion(c).package_ids.append("eur-50")),
    ("promotions[0].start_time", lambda c: a_promotion(c).ClearField("start_time")),
    ("promotions[0].end_time", lambda c: a_promotion(c).ClearField("end_time")),
    ("promotions[0].end_time", lambda c: a_promotion(c).end_time.CopyFrom(stamp(NOW))),
    ("payout_rates[0].currency_code", put(first_rate, currency_code="EURO")),
    ("payout_rates[1].currency_code", lambda c: c.payout_rates.extend([first_rate(c)])),
    ("payout_rates[0].fee_minor_units", put(first_rate, fee_minor_units=-1)),
    ("payout_rates[0].fee_minor_units", put(first_rate, fee_minor_units=10**12 + 1)),
    ("payout_rates[0].minimum_diamonds", put(first_rate, minimum_diamonds=0)),
    ("payout_rates[0].minimum_diamonds", put(first_rate, minimum_diamonds=10**12 + 1)),
    ("currency_by_country", lambda c: c.currency_by_country.update({"Japan": "JPY"})),
    ("currency_by_country[JP]", lambda c: c.currency_by_country.update({"JP": "yen"})),
    ("default_currency_code", put(whole, default_currency_code="")),
    ("default_currency_code", put(whole, default_currency_code="CHF")),
]


@given(catalogs())
def test_well_formed_catalogs_are_accepted(catalog: Catalog) -> None:
    assert malformed(catalog) == []


@pytest.mark.parametrize(("field", "spoil"), SPOILED)
def test_a_malformed_field_is_named(field: str, spoil: Spoil) -> None:
    catalog = example()
    spoil(catalog)
    assert malformed(catalog) == [f"catalog.{field}"]


@pytest.mark.parametrize("part", ["numerator", "denominator"])
@pytest.mark.parametrize("value", [0, -1, 10**9 + 1])
def test_both_parts_of_every_rate_are_bounded(part: str, value: int) -> None:
    catalog = example()
    every_rate(lambda rate: setattr(rate, part, value))(catalog)
    assert sorted(malformed(catalog)) == sorted(f"{rate}.{part}" for rate in RATES)


def test_an_empty_catalog_names_what_every_catalog_has() -> None:
    assert malformed(Catalog()) == [
        "catalog.diamonds_per_coin.numerator",
        "catalog.diamonds_per_coin.denominator",
        "catalog.default_currency_code",
    ]


def test_a_gift_on_sale_earns_at_least_one_diamond() -> None:
    catalog = example()
    catalog.diamonds_per_coin.CopyFrom(rational(1, 2))
    assert malformed(catalog) == ["catalog.gifts[0].coins"]
    catalog.gifts[0].off_sale = True
    assert malformed(catalog) == []


def test_a_gift_on_sale_earns_no_more_than_can_be_moved_at_once() -> None:
    catalog = example()
    catalog.gifts[1].coins = AMOUNT_LIMIT // 10**6
    catalog.diamonds_per_coin.CopyFrom(rational(10**6))
    assert malformed(catalog) == []
    catalog.gifts[1].coins += 1
    assert malformed(catalog) == ["catalog.gifts[1].coins"]


def test_a_promotion_gives_at_most_a_hundred_coins_for_one() -> None:
    catalog = example()
    a_promotion(catalog).bonus_per_coin.CopyFrom(rational(BONUS_MAX * 10**6, 10**6))
    assert malformed(catalog) == []
    a_promotion(catalog).bonus_per_coin.numerator += 1
    assert malformed(catalog) == ["catalog.promotions[0].bonus_per_coin"]


def test_the_least_redemption_is_worth_more_than_the_fee() -> None:
    catalog = example()
    first_rate(catalog).minimum_diamonds = 52  # 26 minor units, and the fee is 25
    assert malformed(catalog) == []
    first_rate(catalog).minimum_diamonds = 51
    assert malformed(catalog) == ["catalog.payout_rates[0].minimum_diamonds"]


def test_the_least_redemption_is_worth_no_more_than_can_be_moved_at_once() -> None:
    catalog = example()
    first_rate(catalog).minor_units_per_diamond.CopyFrom(rational(10**6))
    first_rate(catalog).minimum_diamonds = 10**6
    assert malformed(catalog) == []
    first_rate(catalog).minimum_diamonds += 1
    assert malformed(catalog) == ["catalog.payout_rates[0].minimum_diamonds"]


def test_a_package_is_sold_for_a_time_that_is_not_empty() -> None:
    catalog = example()
    first_package(catalog).start_time.CopyFrom(stamp(NOW))
    first_package(catalog).end_time.CopyFrom(stamp(NOW + timedelta(microseconds=1)))
    assert malformed(catalog) == []
    first_package(catalog).end_time.CopyFrom(stamp(NOW))
    assert malformed(catalog) == ["catalog.packages[0].end_time"]


def test_the_default_currency_needs_a_package_that_is_on_sale() -> None:
    catalog = example()
    for sold in catalog.packages[:2]:
        sold.off_sale = True
    assert malformed(catalog) == ["catalog.default_currency_code"]


def test_what_is_on_sale_is_bounded_and_what_is_off_sale_is_not() -> None:
    catalog = example()
    catalog.gifts.extend(gift(f"g{number}", 10) for number in range(ON_SALE_MAX - 2))
    catalog.packages.extend(package(f"p{n}", 1, "EUR", 1) for n in range(ON_SALE_MAX - 3))
    catalog.gifts.append(gift("old", 10, off_sale=True))
    assert malformed(catalog) == []
    catalog.gifts.append(gift("new", 10))
    catalog.packages.append(package("new", 1, "EUR", 1))
    assert malformed(catalog) == ["catalog.packages", "catalog.gifts"]


def test_promotions_are_bounded() -> None:
    catalog = example()
    catalog.promotions.extend(promotion(f"p{n}", rational(1, 10)) for n in range(100))
    assert malformed(catalog) == []
    catalog.promotions.append(promotion("one-more", rational(1, 10)))
    assert malformed(catalog) == ["catalog.promotions"]


def test_several_malformed_fields_are_named_at_once() -> None:
    catalog = example()
    catalog.gifts[0].gift_id = ""
    catalog.gifts[1].coins = 0
    catalog.packages[2].price.minor_units = 0
    assert malformed(catalog) == [
        "catalog.packages[2].price.minor_units",
        "catalog.gifts[0].gift_id",
        "catalog.gifts[1].coins",
    ]


def test_no_more_than_twenty_fields_are_named() -> None:
    catalog = example()
    catalog.gifts.extend(gift(f"g{number}", 0) for number in range(30))
    assert len(malformed(catalog)) == 20
