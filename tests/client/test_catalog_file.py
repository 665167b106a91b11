"""Catalog files: they round-trip, and errors name their place."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from giftpay.catalog_file import CatalogFileError, format_catalog, load_catalog, parse_catalog
from giftpay.v1 import (
    Catalog,
    CatalogGift,
    CoinPackage,
    Money,
    PayoutRate,
    Promotion,
    Rational,
)
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

SAMPLE = Path(__file__).parents[2] / "server/src/giftpay_server/catalog/sample.toml"

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(min_value=-(2**63), max_value=2**63 - 1)
money = st.builds(
    Money,
    currency_code=st.from_regex(r"[A-Z]{3}", fullmatch=True),
    minor_units=st.integers(min_value=-(10**12), max_value=10**12),
)
rates = st.builds(
    Rational,
    numerator=st.integers(min_value=0, max_value=10**9),
    denominator=st.integers(min_value=1, max_value=10**9),
)


@st.composite
def times(draw: st.DrawFn) -> Timestamp:
    """Times to the microsecond, which is as fine as both TOML and the server are."""
    moment = draw(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


catalogs = st.builds(
    Catalog,
    packages=st.lists(
        st.builds(
            CoinPackage,
            package_id=texts,
            price=money,
            coins=numbers,
            start_time=st.none() | times(),
            end_time=st.none() | times(),
            off_sale=st.booleans(),
        ),
        max_size=3,
    ),
    gifts=st.lists(
        st.builds(CatalogGift, gift_id=texts, name=texts, coins=numbers, off_sale=st.booleans()),
        max_size=3,
    ),
    promotions=st.lists(
        st.builds(
            Promotion,
            promotion_id=texts,
            package_ids=st.lists(texts, max_size=3),
            bonus_per_coin=rates,
            start_time=times(),
            end_time=times(),
        ),
        max_size=2,
    ),
    diamonds_per_coin=rates,
    payout_rates=st.lists(
        st.builds(
            PayoutRate,
            currency_code=texts,
            minor_units_per_diamond=rates,
            fee_minor_units=numbers,
            minimum_diamonds=numbers,
        ),
        max_size=2,
    ),
    currency_by_country=st.dictionaries(texts, texts, max_size=3),
    default_currency_code=texts,
)


@given(catalogs)
def test_a_catalog_round_trips(catalog: Catalog) -> None:
    assert parse_catalog(format_catalog(catalog)) == catalog


def test_output_only_fields_are_not_written() -> None:
    package = CoinPackage(package_id="eur-70", bonus_coins=7)
    written = format_catalog(
        Catalog(version=3, create_time=Timestamp(seconds=1), packages=[package])
    )
    assert parse_catalog(written) == Catalog(packages=[CoinPackage(package_id="eur-70")])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gift = []", "gift: there is no such field; there is gifts"),
        ("version = 3", "version: is filled in by the server"),
        ("gifts = 3", "gifts: must be a list, not 3"),
        ("gifts = [3]", "gifts[0]: must be a table, not 3"),
        ("[[gifts]]\ncost = 1", "gifts[0].cost: there is no such field"),
        ("[[gifts]]\ncoins = '3'", 'gifts[0].coins: must be a whole number, not "3"'),
        ("[[gifts]]\ncoins = 3.0", "gifts[0].coins: must be a whole number, not 3.0"),
        ("[[gifts]]\ncoins = true", "gifts[0].coins: must be a whole number, not true"),
        ("[[gifts]]\ncoins = 9223372036854775808", "gifts[0].coins: Value out of range"),
        (
            "[[gifts]]\n[[gifts]]\ngift_id = 'rose'\nname = 3",
            "gifts[1] (rose).name: must be a text",
        ),
        ("[[packages]]\nprice = 'EUR 9'", "packages[0].price: must have 2 decimals in EUR"),
        ("[[packages]]\nprice = 9.99", "packages[0].price: must be a text, not 9.99"),
        ("[[packages]]\noff_sale = 1", "packages[0].off_sale: must be true or false, not 1"),
        ("diamonds_per_coin = 'half'", 'must be a rate such as "1/2", not "half"'),
        ("diamonds_per_coin = {numerator = 1}", "diamonds_per_coin: must be a text"),
        ("currency_by_country = 'DE'", "currency_by_country: must be a table"),
        ("[currency_by_country]\nDE = 49", "currency_by_country: must be a text, not 49"),
        ("[[promotions]]\npackage_ids = [1]", "promotions[0].package_ids: must be a text, not 1"),
        (
            "[[promotions]]\nstart_time = 2026-11-01",
            "promotions[0].start_time: must be a time such",
        ),
        (
            "[[promotions]]\nend_time = 2026-11-01T00:00:00",
            "promotions[0].end_time: must have an offset",
        ),
        ("[[gifts]]\ncoins = x\n", "(at line 2, column 9)"),
    ],
)
def test_an_error_names_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text)
    with pytest.raises(CatalogFileError) as mistake:
        load_catalog(file)
    assert str(mistake.value).startswith(f"{file}: ")
    assert complaint in str(mistake.value)


@pytest.fixture(scope="module")
def sample() -> Catalog:
    return load_catalog(SAMPLE)


def coins_for_a_minor_unit(package: CoinPackage) -> Fraction:
    return Fraction(package.coins, package.price.minor_units)


def by_currency(catalog: Catalog) -> dict[str, list[CoinPackage]]:
    """The packages of each currency, cheapest first."""
    found: dict[str, list[CoinPackage]] = {}
    for package in sorted(catalog.packages, key=lambda package: package.price.minor_units):
        found.setdefault(package.price.currency_code, []).append(package)
    return found


def test_the_sample_sells_the_gifts_that_everyone_knows(sample: Catalog) -> None:
    assert {gift.name: gift.coins for gift in sample.gifts} == {
        "Rose": 1,
        "Live": 5,
        "Applause": 50,
        "Dynamic Duo": 100,
        "Director's Chair": 500,
        "Lion Dance": 2000,
    }


def test_in_the_sample_more_money_buys_more_coins_for_it(sample: Catalog) -> None:
    packages = by_currency(sample)
    assert packages.keys() == {"USD", "EUR", "GBP", "JPY", "BRL"}
    for sold in packages.values():
        assert len(sold) >= 5
        value = [coins_for_a_minor_unit(package) for package in sold]
        assert value == sorted(set(value))


def test_in_the_sample_the_platform_keeps_about_half(sample: Catalog) -> None:
    packages = by_currency(sample)
    assert {rate.currency_code for rate in sample.payout_rates} == packages.keys()
    for rate in sample.payout_rates:
        paid = Fraction(
            rate.minor_units_per_diamond.numerator, rate.minor_units_per_diamond.denominator
        )
        for package in packages[rate.currency_code]:
            assert Fraction(2, 5) < paid * coins_for_a_minor_unit(package) < Fraction(3, 5)
        assert rate.minimum_diamonds * paid > rate.fee_minor_units


def test_the_sample_names_only_what_it_sells(sample: Catalog) -> None:
    currencies = by_currency(sample).keys()
    ids = {package.package_id for package in sample.packages}
    assert len(ids) == len(sample.packages)
    assert {sample.default_currency_code, *sample.currency_by_country.values()} <= currencies
    assert all(ids.issuperset(promotion.package_ids) for promotion in sample.promotions)
