"""What packages cost and diamonds are worth: laws over any catalog, and the edges by example."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from giftpay.v1 import (
    ERROR_REASON_AMOUNT_LIMIT,
    ERROR_REASON_BELOW_MINIMUM,
    ERROR_REASON_CURRENCY_NOT_SUPPORTED,
    ERROR_REASON_NO_CATALOG,
    ERROR_REASON_PACKAGE_NOT_SOLD_IN_COUNTRY,
    ERROR_REASON_PACKAGE_OFF_SALE,
    ERROR_REASON_UNKNOWN_PACKAGE,
    Promotion,
    Rational,
)
from giftpay.v1 import Catalog as CatalogMessage
from giftpay_server.catalog.pricing import (
    PackagePrice,
    Quote,
    bonus,
    price_package,
    promotions_at,
    quote,
)
from giftpay_server.catalog.rules import Catalog, times
from giftpay_server.ledger.model import AMOUNT_LIMIT, Refused, refuse
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.examples import (
    NOW,
    catalogs,
    example,
    package,
    promotion,
    promotions,
    rational,
    stamp,
)

RATES = st.builds(rational, st.integers(1, 10**9), st.integers(1, 10**9))
AMOUNTS = st.integers(0, AMOUNT_LIMIT)
FOR_P = promotions([package("p", 1, "EUR", 1)])


def priced(
    message: CatalogMessage, package_id: str, *, country: str = "DE", now: datetime = NOW
) -> PackagePrice | Refused:
    return price_package(Catalog.of(message), package_id, country=country, now=now)


def with_promotions(*running: Promotion) -> CatalogMessage:
    message = example()
    message.promotions.extend(running)
    return message


@given(AMOUNTS, RATES)
def test_rounding_never_gives_more_than_the_exact_and_less_by_under_one(
    amount: int, rate: Rational
) -> None:
    exact = amount * Fraction(rate.numerator, rate.denominator)
    assert 0 <= exact - times(amount, rate) < 1


@given(AMOUNTS, AMOUNTS, RATES)
def test_two_parts_never_bring_more_than_the_whole(one: int, other: int, rate: Rational) -> None:
    assert times(one, rate) + times(other, rate) <= times(one + other, rate)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.lists(FOR_P))
def test_a_bigger_package_never_brings_fewer_bonus_coins(
    one: int, other: int, running: list[Promotion]
) -> None:
    small, big = (package("p", coins, "EUR", 1) for coins in sorted((one, other)))
    assert bonus(small, running) <= bonus(big, running)


@given(st.integers(1, 10**9), st.lists(FOR_P, min_size=1))
def test_one_more_promotion_never_takes_bonus_coins_away(
    coins: int, running: list[Promotion]
) -> None:
    bought = package("p", coins, "EUR", 1)
    assert bonus(bought, running[1:]) <= bonus(bought, running)


@given(catalogs(), st.integers(-100, 100))
def test_a_price_is_that_of_the_catalog_with_the_best_promotion_of_that_time(
    message: CatalogMessage, hours: int
) -> None:
    now, catalog = NOW + timedelta(hours=hours), Catalog.of(message)
    sold = message.packages[0]  # on sale in the default currency, which is that of DE
    offered = [bonus(sold, [running]) for running in promotions_at(catalog, now)]
    found = price_package(catalog, sold.package_id, country="DE", now=now)
    assert found == (sold.price, sold.coins, max(offered, default=0))


@given(catalogs(), st.integers(1, AMOUNT_LIMIT))
def test_whatever_may_be_redeemed_pays_out_something_and_never_more_than_exact(
    message: CatalogMessage, diamonds: int
) -> None:
    for rate in message.payout_rates:
        quoted = quote(Catalog.of(message), diamonds, rate.currency_code)
        if isinstance(quoted, Quote):
            per_diamond = rate.minor_units_per_diamond
            exact = diamonds * Fraction(per_diamond.numerator, per_diamond.denominator)
            assert 0 < quoted.amount == quoted.gross - quoted.fee
            assert 0 <= exact - quoted.gross < 1


@given(catalogs(), st.integers(1, 10**6), st.integers(1, 10**6))
def test_more_diamonds_never_pay_out_less(message: CatalogMessage, one: int, other: int) -> None:
    for rate in message.payout_rates:
        fewer, more = (
            quote(Catalog.of(message), diamonds, rate.currency_code)
            for diamonds in sorted((one, other))
        )
        if isinstance(fewer, Quote):
            assert isinstance(more, Quote)
            assert fewer.amount <= more.amount


def test_a_package_is_sold_at_its_price_in_the_countries_of_its_currency() -> None:
    message = example()
    euros, yen = message.packages[0], message.packages[2]
    assert priced(message, "eur-5", country="DE") == (euros.price, 350, 0)
    assert priced(message, "jpy-5", country="JP") == (yen.price, 350, 0)


def test_a_package_of_another_currency_is_not_sold_in_a_country() -> None:
    for package_id, country in (("eur-5", "JP"), ("jpy-5", "DE")):
        assert priced(example(), package_id, country=country) == refuse(
            ERROR_REASON_PACKAGE_NOT_SOLD_IN_COUNTRY, package_id=package_id, country_code=country
        )


def test_an_unknown_package_is_refused() -> None:
    assert priced(example(), "eur-6") == refuse(
        ERROR_REASON_UNKNOWN_PACKAGE, package_id="eur-6", catalog_version=0
    )


def test_a_package_off_sale_is_refused() -> None:
    message = example()
    message.packages[0].off_sale = True
    assert priced(message, "eur-5") == refuse(
        ERROR_REASON_PACKAGE_OFF_SALE, package_id="eur-5", catalog_version=0
    )


@pytest.mark.parametrize(("seconds", "sold"), [(-1, False), (0, True), (3599, True), (3600, False)])
def test_a_package_is_sold_from_its_start_until_just_before_its_end(
    seconds: int, sold: bool
) -> None:
    message = example()
    message.packages[0].start_time.CopyFrom(stamp(NOW))
    message.packages[0].end_time.CopyFrom(stamp(NOW + timedelta(hours=1)))
    found = priced(message, "eur-5", now=NOW + timedelta(seconds=seconds))
    assert isinstance(found, PackagePrice) is sold


@pytest.mark.parametrize(("seconds", "coins"), [(-1, 0), (0, 35), (3599, 35), (3600, 0)])
def test_a_promotion_applies_from_its_start_until_just_before_its_end(
    seconds: int, coins: int
) -> None:
    message = with_promotions(promotion("weekend", rational(1, 10), hours=1))
    found = priced(message, "eur-5", now=NOW + timedelta(seconds=seconds))
    assert isinstance(found, PackagePrice)
    assert found.bonus_coins == coins


def test_of_several_promotions_the_one_that_gives_most_counts_alone() -> None:
    message = with_promotions(
        promotion("tenth", rational(1, 10)),
        promotion("fifth", rational(1, 5), "eur-5"),
        promotion("half", rational(1, 2), "eur-10"),
    )
    bonuses = {
        package_id: found.bonus_coins
        for package_id in ("eur-5", "eur-10")
        if isinstance(found := priced(message, package_id), PackagePrice)
    }
    assert bonuses == {"eur-5": 70, "eur-10": 350}


def test_diamonds_are_worth_the_rate_less_the_fee() -> None:
    quoted = quote(Catalog.of(example()), 1_001, "EUR")
    assert quoted == Quote(
        currency_code="EUR",
        gross=500,
        fee=25,
        amount=475,
        minor_units_per_diamond=rational(1, 2),
        minimum_diamonds=100,
    )


def test_a_currency_without_a_rate_is_refused() -> None:
    assert quote(Catalog.of(example()), 1_000, "CHF") == refuse(
        ERROR_REASON_CURRENCY_NOT_SUPPORTED, currency_code="CHF", catalog_version=0
    )


def test_fewer_diamonds_than_the_minimum_are_refused() -> None:
    assert isinstance(quote(Catalog.of(example()), 100, "EUR"), Quote)
    assert quote(Catalog.of(example()), 99, "EUR") == refuse(
        ERROR_REASON_BELOW_MINIMUM, diamonds=99, minimum=100, currency_code="EUR"
    )


def test_diamonds_worth_more_than_can_be_moved_at_once_are_refused() -> None:
    message = example()
    message.payout_rates[0].minor_units_per_diamond.CopyFrom(rational(2))
    assert isinstance(quote(Catalog.of(message), AMOUNT_LIMIT // 2, "EUR"), Quote)
    assert quote(Catalog.of(message), AMOUNT_LIMIT // 2 + 1, "EUR") == refuse(
        ERROR_REASON_AMOUNT_LIMIT, amount=AMOUNT_LIMIT + 2, limit=AMOUNT_LIMIT
    )


def test_more_diamonds_than_can_be_moved_at_once_are_refused() -> None:
    assert quote(Catalog.of(example()), AMOUNT_LIMIT + 1, "EUR") == refuse(
        ERROR_REASON_AMOUNT_LIMIT, amount=AMOUNT_LIMIT + 1, limit=AMOUNT_LIMIT
    )


def test_nothing_has_a_price_before_a_catalog_was_applied() -> None:
    no_catalog = refuse(ERROR_REASON_NO_CATALOG)
    assert price_package(None, "eur-5", country="DE", now=NOW) == no_catalog
    assert quote(None, 1_000, "EUR") == no_catalog
