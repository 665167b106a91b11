"""Money as text: exact, with the decimals of its currency, in both directions."""

import pytest
from giftpay.money import DECIMALS, format_money, parse_money
from giftpay.v1 import Money
from hypothesis import given
from hypothesis import strategies as st

currencies = st.sampled_from(["EUR", "USD", *DECIMALS])
amounts = st.integers(min_value=-(10**12), max_value=10**12)


@given(currencies, amounts)
def test_money_round_trips(currency: str, minor_units: int) -> None:
    money = Money(currency_code=currency, minor_units=minor_units)
    assert parse_money(format_money(money)) == money


@pytest.mark.parametrize(
    ("text", "minor_units"),
    [
        ("EUR 10.99", 1099),
        ("EUR 0.05", 5),
        ("EUR -0.05", -5),
        ("JPY 160", 160),
        ("KWD 1.250", 1250),
        ("CLF 0.0001", 1),
    ],
)
def test_the_last_digit_is_a_minor_unit(text: str, minor_units: int) -> None:
    money = parse_money(text)
    assert money == Money(currency_code=text[:3], minor_units=minor_units)
    assert format_money(money) == text


@pytest.mark.parametrize("text", ["EUR 10", "EUR 10.9", "EUR 10.990", "JPY 160.00", "KWD 1.25"])
def test_a_wrong_number_of_decimals_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must have \d decimals"):
        parse_money(text)


@pytest.mark.parametrize(
    "text",
    ["", "10.99", "10.99 EUR", "eur 10.99", "EUR10.99", "EUR 1,099.00", "EUR \u0661.99", "EUR .99"],
)
def test_malformed_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be money"):
        parse_money(text)
