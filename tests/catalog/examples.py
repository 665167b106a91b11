"""Catalogs for tests: one that is easy to spoil, and any well-formed one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from giftpay.v1 import (
    ApplyCatalogRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    Money,
    PayoutRate,
    Promotion,
    Rational,
)
from giftpay_server.catalog.messages import apply_command
from giftpay_server.ledger.model import Answer, Books, Draft, Outcome
from giftpay_server.ledger.rules import decide
from giftpay_server.slices import REGISTRY
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IDS = st.sampled_from([f"id{number}" for number in range(8)])
CURRENCIES = ("EUR", "JPY", "USD")


def gift(gift_id: str, coins: int, *, off_sale: bool = False) -> CatalogGift:
    return CatalogGift(gift_id=gift_id, name=gift_id.title(), coins=coins, off_sale=off_sale)


def package(package_id: str, coins: int, currency: str, minor_units: int) -> CoinPackage:
    price = Money(currency_code=currency, minor_units=minor_units)
    return CoinPackage(package_id=package_id, price=price, coins=coins)


def rational(numerator: int, denominator: int = 1) -> Rational:
    return Rational(numerator=numerator, denominator=denominator)


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def promotion(
    promotion_id: str, bonus: Rational, *package_ids: str, start: datetime = NOW, hours: float = 24
) -> Promotion:
    return Promotion(
        promotion_id=promotion_id,
        package_ids=package_ids,
        bonus_per_coin=bonus,
        start_time=stamp(start),
        end_time=stamp(start + timedelta(hours=hours)),
    )


def example() -> Catalog:
    """Two gifts, three packages in two currencies, and one payout rate."""
    return Catalog(
        gifts=[gift("rose", 1), gift("lion", 29_999)],
        packages=[
            package("eur-5", 350, "EUR", 499),
            package("eur-10", 700, "EUR", 999),
            package("jpy-5", 350, "JPY", 800),
        ],
        diamonds_per_coin=rational(1),
        payout_rates=[
            PayoutRate(
                currency_code="EUR",
                minor_units_per_diamond=rational(1, 2),
                fee_minor_units=25,
                minimum_diamonds=100,
            )
        ],
        currency_by_country={"JP": "JPY"},
        default_currency_code="EUR",
    )


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Any well-formed catalog, small."""
    sold = draw(st.lists(packages(), min_size=1, max_size=5, unique_by=lambda p: p.package_id))
    sold[0].off_sale = False
    return Catalog(
        gifts=draw(st.lists(gifts(), max_size=5, unique_by=lambda g: g.gift_id)),
        packages=sold,
        promotions=draw(st.lists(promotions(sold), max_size=3, unique_by=lambda p: p.promotion_id)),
        diamonds_per_coin=draw(st.sampled_from([rational(1), rational(1, 2), rational(3, 7)])),
        payout_rates=draw(st.lists(rates(), max_size=3, unique_by=lambda r: r.currency_code)),
        currency_by_country=draw(
            st.dictionaries(st.sampled_from(["AT", "JP", "US"]), st.sampled_from(CURRENCIES))
        ),
        default_currency_code=sold[0].price.currency_code,
    )


@st.composite
def gifts(draw: st.DrawFn) -> CatalogGift:
    return gift(draw(IDS), draw(st.integers(3, 10**9)), off_sale=draw(st.booleans()))


@st.composite
def packages(draw: st.DrawFn) -> CoinPackage:
    made = package(
        draw(IDS),
        draw(st.integers(1, 10**9)),
        draw(st.sampled_from(CURRENCIES)),
        draw(st.integers(1, 10**12)),
    )
    made.off_sale = draw(st.booleans())
    return made


def promotions(sold: list[CoinPackage]) -> st.SearchStrategy[Promotion]:
    ids = st.lists(st.sampled_from([package.package_id for package in sold]), max_size=2)
    starts = st.integers(-48, 48).map(lambda hours: NOW + timedelta(hours=hours))
    return st.builds(
        lambda promotion_id, bonus, package_ids, start: promotion(
            promotion_id, bonus, *package_ids, start=start
        ),
        IDS,
        st.builds(rational, st.integers(1, 10**3), st.integers(10, 10**4)),
        ids,
        starts,
    )


def rates() -> st.SearchStrategy[PayoutRate]:
    return st.builds(
        lambda currency, per_diamond, fee, minimum: PayoutRate(
            currency_code=currency,
            minor_units_per_diamond=per_diamond,
            fee_minor_units=fee,
            # Enough to be worth more than the fee.
            minimum_diamonds=minimum + (fee + 1) * per_diamond.denominator,
        ),
        st.sampled_from(CURRENCIES),
        st.builds(rational, st.integers(1, 100), st.integers(1, 300)),
        st.integers(0, 100),
        st.integers(1, 1_000),
    )


def shelf() -> Books:
    """The books of a server to which no catalog was applied."""
    return Books(now=NOW, catalog=None)


def applied(books: Books, catalog: Catalog, *, expected_version: int | None = None) -> Answer:
    """The answer of ApplyCatalog with a new key; updates the books."""
    request = ApplyCatalogRequest(idempotency_key=str(uuid.uuid4()), catalog=catalog)
    if expected_version is not None:
        request.expected_version = expected_version
    command = apply_command(ask(request, Call("tests")))
    (answer,) = decide([command], books, Draft(), REGISTRY.movements)
    return answer


def version(answer: Answer) -> int:
    """The version that an accepted ApplyCatalog answered with."""
    assert isinstance(answer, Outcome)
    assert not answer.transaction.reason
    return answer.transaction.catalog_version
