"""Converts Money to text and back, exactly: "EUR 10.99", "JPY 160"."""

import re

from giftpay.v1 import Money

# ISO 4217 currencies that do not have two decimals, by their number of decimals.
UNUSUAL = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS = {code: decimals for decimals, codes in UNUSUAL.items() for code in codes.split()}
FORM = re.compile(r"([A-Z]{3}) (-?)([0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)


def parse_money(text: str) -> Money:
    """The amount; raises ValueError unless it has exactly the decimals of its currency."""
    form = FORM.fullmatch(text)
    if form is None:
        raise ValueError(f'must be money such as "EUR 10.99", not "{text}"')
    currency, sign, whole, fraction = form.group(1, 2, 3, 4)
    decimals = DECIMALS.get(currency, 2)
    if len(fraction or "") != decimals:
        raise ValueError(f'must have {decimals} decimals in {currency}, not as in "{text}"')
    return Money(currency_code=currency, minor_units=int(f"{sign}{whole}{fraction or ''}"))


def format_money(money: Money) -> str:
    """The amount with the decimals of its currency."""
    decimals = DECIMALS.get(money.currency_code, 2)
    digits = f"{abs(money.minor_units):0{decimals + 1}d}"
    sign = "-" if money.minor_units < 0 else ""
    point = len(digits) - decimals
    fraction = f".{digits[point:]}" if decimals else ""
    return f"{money.currency_code} {sign}{digits[:point]}{fraction}"
