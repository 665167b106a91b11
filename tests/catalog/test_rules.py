"""Laws of the versions of a catalog."""

from __future__ import annotations

from random import Random

from giftpay.v1 import (
    ERROR_REASON_CATALOG_VERSION_CONFLICT,
    Catalog,
    CatalogGift,
    CoinPackage,
)
from giftpay_server.catalog.form import valid_catalog
from giftpay_server.catalog.rules import CatalogVersion
from giftpay_server.ledger.model import Books, Outcome
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.examples import NOW, applied, catalogs, example, gift, shelf, version


def contents(books: Books) -> Catalog:
    """The contents of the current catalog, without its version and time."""
    said = Catalog()
    said.CopyFrom(books.catalog.message)
    said.ClearField("version")
    said.ClearField("create_time")
    return said


def as_off_sale(item: CatalogGift | CoinPackage) -> CatalogGift | CoinPackage:
    kept = type(item)()
    kept.CopyFrom(item)  # type: ignore[arg-type]
    kept.off_sale = True
    return kept


def test_the_first_catalog_is_version_1_and_keeps_the_time() -> None:
    books = shelf()
    assert version(applied(books, example())) == 1
    assert books.catalog.version == 1
    assert books.catalog.message.create_time.ToDatetime(tzinfo=NOW.tzinfo) == NOW


def test_each_version_is_stored_with_the_transaction_that_applied_it() -> None:
    books = shelf()
    answer = applied(books, example())
    row = books.row(CatalogVersion, 1)
    assert isinstance(answer, Outcome)
    assert row == CatalogVersion(
        version=1,
        transaction_id=answer.transaction.id,
        create_time=NOW,
        etag=books.catalog.etag,
        body=books.catalog.message.SerializeToString(),
    )
    assert answer.transaction.catalog_version == 1
    assert books.catalog.etag > 0


@given(st.lists(catalogs(), min_size=1, max_size=5))
def test_items_stay_readable_after_they_are_removed(asked: list[Catalog]) -> None:
    books = shelf()
    expected: dict[str, CatalogGift | CoinPackage] = {}
    for catalog in asked:
        applied(books, catalog)
        expected = {name: as_off_sale(kept) for name, kept in expected.items()}
        expected |= {f"gift {gift.gift_id}": gift for gift in catalog.gifts}
        expected |= {f"package {sold.package_id}": sold for sold in catalog.packages}
    read = books.catalog
    kept = {f"gift {gift_id}": gift for gift_id, gift in read.gifts.items()}
    kept |= {f"package {package_id}": sold for package_id, sold in read.packages.items()}
    assert kept == expected


@given(st.lists(catalogs(), min_size=1, max_size=3))
def test_a_catalog_that_equals_the_current_one_makes_no_version(asked: list[Catalog]) -> None:
    books = shelf()
    for catalog in asked:
        made = version(applied(books, catalog))
        assert version(applied(books, catalog)) == made
        assert books.catalog.version == made


@given(st.lists(catalogs(), min_size=1, max_size=3))
def test_a_catalog_as_it_was_read_may_be_sent_back(asked: list[Catalog]) -> None:
    books = shelf()
    for catalog in asked:
        applied(books, catalog)
        read = books.catalog
        valid_catalog(read.message)
        assert version(applied(books, read.message)) == read.version


@given(catalogs(), st.integers())
def test_the_order_in_which_a_catalog_lists_things_does_not_matter(
    asked: Catalog, seed: int
) -> None:
    books, shuffled = shelf(), Catalog()
    shuffled.CopyFrom(asked)
    for name in ("gifts", "packages", "promotions", "payout_rates"):
        items = list(getattr(asked, name))
        Random(seed).shuffle(items)
        shuffled.ClearField(name)
        getattr(shuffled, name).extend(items)
    assert version(applied(books, asked)) == version(applied(books, shuffled)) == 1


@given(catalogs())
def test_gifts_and_packages_are_read_cheapest_first(asked: Catalog) -> None:
    books = shelf()
    applied(books, asked)
    coins = [each.coins for each in contents(books).gifts]
    prices = [(p.price.currency_code, p.price.minor_units) for p in contents(books).packages]
    assert coins == sorted(coins)
    assert prices == sorted(prices)


@given(catalogs(), catalogs())
def test_applying_changes_neither_what_was_sent_nor_the_version_before(
    first: Catalog, second: Catalog
) -> None:
    books, sent = shelf(), Catalog()
    applied(books, first)
    before, body = books.catalog, books.catalog.message.SerializeToString(deterministic=True)
    sent.CopyFrom(second)
    applied(books, second)
    assert before.message.SerializeToString(deterministic=True) == body
    assert sent == second


def test_a_catalog_built_on_another_version_is_refused() -> None:
    books = shelf()
    applied(books, example(), expected_version=0)
    answer = applied(books, example(), expected_version=0)
    assert isinstance(answer, Outcome)
    assert answer.transaction.reason == ERROR_REASON_CATALOG_VERSION_CONFLICT
    assert books.catalog.version == 1


def test_a_later_command_of_the_same_batch_builds_on_the_one_before() -> None:
    books, wider = shelf(), example()
    wider.gifts.append(gift("swan", 500))
    assert version(applied(books, example(), expected_version=0)) == 1
    assert version(applied(books, wider, expected_version=1)) == 2


def test_a_gift_that_is_named_again_is_sold_again() -> None:
    books, narrower = shelf(), example()
    del narrower.gifts[1]
    for asked, off_sale in ((example(), False), (narrower, True), (example(), False)):
        applied(books, asked)
        assert books.catalog.gifts["lion"].off_sale is off_sale
