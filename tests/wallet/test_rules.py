"""The rules of age, of details that agree, and of closing a wallet."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    ERROR_REASON_WALLET_CLOSED,
    ERROR_REASON_WALLET_NOT_EMPTY,
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    OpenWalletRequest,
    Unit,
    UpdateWalletRequest,
    WalletStatus,
)
from giftpay_server.ledger.model import Account, Books, Decision, Owner, Posted
from giftpay_server.top_up.open_items import PendingTopUps
from giftpay_server.wallet.rules import (
    VERIFIED_ADULT,
    adult_from,
    age_status,
    open_wallet,
    set_age,
    set_status,
)
from giftpay_server.wire.fields import OLDEST_BIRTH
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
TODAY = NOW.date()
ADULT, MINOR = date(2018, 5, 1), date(2030, 5, 1)  # came of age, will come of age

births = st.dates(OLDEST_BIRTH, date(2100, 12, 31))


def years_old(birth: date, day: date) -> int:
    """As people count: a year older on each birthday, on 1 March if there is no 29 February."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


@given(births)
def test_an_owner_comes_of_age_on_the_day_of_turning_18(birth: date) -> None:
    day = adult_from(birth)
    assert years_old(birth, day) == 18
    assert years_old(birth, day - timedelta(days=1)) == 17


@given(births, st.integers(-2, 2))
def test_the_status_turns_with_that_day(birth: date, days: int) -> None:
    today = adult_from(birth) + timedelta(days=days)
    wanted = AGE_STATUS_ADULT if years_old(birth, today) >= 18 else AGE_STATUS_UNDER_AGE
    assert age_status(adult_from(birth), today) == wanted


@pytest.mark.parametrize(
    ("birth", "day"),
    [
        (date(2008, 2, 28), date(2026, 2, 28)),
        (date(2008, 2, 29), date(2026, 3, 1)),
        (date(2008, 3, 1), date(2026, 3, 1)),
        (date(2008, 12, 31), date(2026, 12, 31)),
        (date(2010, 1, 1), date(2028, 1, 1)),
    ],
)
def test_who_is_born_on_29_february_comes_of_age_on_1_march(birth: date, day: date) -> None:
    assert adult_from(birth) == day


def test_an_unknown_age_is_unverified_and_a_verified_one_is_adult_on_any_day() -> None:
    assert age_status(None, TODAY) == AGE_STATUS_UNVERIFIED
    assert age_status(VERIFIED_ADULT, OLDEST_BIRTH) == AGE_STATUS_ADULT


@given(births)
def test_no_birth_gives_the_date_of_a_verified_adult(birth: date) -> None:
    assert adult_from(birth) > VERIFIED_ADULT


def books(
    *, status: WalletStatus.ValueType = WALLET_STATUS_ACTIVE, known: date | None = None
) -> Books:
    """Those of anna in DE, whose wallet is empty."""
    anna = Owner("anna", status, "DE", known, NOW)
    accounts = {("anna", unit): Account("anna", unit) for unit in (UNIT_COIN, UNIT_DIAMOND)}
    pending = PendingTopUps("anna", 0)
    return Books(
        now=NOW,
        catalog=None,
        owners={"anna": anna},
        accounts=accounts,
        rows={(PendingTopUps, "anna"): pending},
    )


def opened(*, asked: date | None, known: date | None, country: str = "DE") -> Decision:
    """The decision of OpenWallet on an existing wallet."""
    request = OpenWalletRequest(owner_id="anna", country_code=country)
    if asked == VERIFIED_ADULT:
        request.age_verified = True
    elif asked is not None:
        request.date_of_birth = "hashed"
    return open_wallet(request, asked, books(known=known))


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (None, None),
        (None, ADULT),
        (None, MINOR),
        (None, VERIFIED_ADULT),
        (ADULT, ADULT),
        (MINOR, MINOR),
        (VERIFIED_ADULT, VERIFIED_ADULT),
        (VERIFIED_ADULT, ADULT),
        (VERIFIED_ADULT, TODAY),
        (ADULT, VERIFIED_ADULT),
    ],
)
def test_ages_that_do_not_contradict_each_other_agree(
    asked: date | None, known: date | None
) -> None:
    assert opened(asked=asked, known=known) == Posted()


@pytest.mark.parametrize(
    ("asked", "known", "field"),
    [
        (ADULT, None, "date_of_birth"),
        (ADULT, MINOR, "date_of_birth"),
        (ADULT, ADULT + timedelta(days=1), "date_of_birth"),
        (MINOR, VERIFIED_ADULT, "date_of_birth"),
        (VERIFIED_ADULT, None, "age_verified"),
        (VERIFIED_ADULT, MINOR, "age_verified"),
        (VERIFIED_ADULT, TODAY + timedelta(days=1), "age_verified"),
    ],
)
def test_ages_that_contradict_each_other_are_refused(
    asked: date, known: date | None, field: str
) -> None:
    decision = opened(asked=asked, known=known)
    assert not isinstance(decision, Posted)
    assert decision.figures == {"owner_id": "anna", "fields": field}


def test_every_field_that_differs_is_named() -> None:
    decision = opened(asked=ADULT, known=MINOR, country="FR")
    assert not isinstance(decision, Posted)
    assert decision.figures["fields"] == "country_code,date_of_birth"


OPEN_ITEMS = {"open_top_ups": PendingTopUps}
STATUSES = (WALLET_STATUS_ACTIVE, WALLET_STATUS_FROZEN, WALLET_STATUS_CLOSED)


@pytest.mark.parametrize("asked", STATUSES)
@pytest.mark.parametrize("status", STATUSES)
def test_an_empty_wallet_may_take_any_status_until_it_is_closed(
    status: WalletStatus.ValueType, asked: WalletStatus.ValueType
) -> None:
    decision = set_status(
        UpdateWalletRequest(owner_id="anna", status=asked), OPEN_ITEMS, books(status=status)
    )
    if status == asked:
        assert decision == Posted()
    elif status == WALLET_STATUS_CLOSED:
        assert not isinstance(decision, Posted)
        assert decision.reason == ERROR_REASON_WALLET_CLOSED
    else:
        assert isinstance(decision, Posted)
        (owner,) = decision.owners
        assert (owner.owner_id, owner.status) == ("anna", asked)


@pytest.mark.parametrize("status", [WALLET_STATUS_ACTIVE, WALLET_STATUS_FROZEN])
@pytest.mark.parametrize(
    ("unit", "balance", "held", "orders"),
    [
        (UNIT_COIN, 1, 0, 0),
        (UNIT_COIN, -1, 0, 0),
        (UNIT_DIAMOND, 1, 0, 0),
        (UNIT_DIAMOND, 1, 1, 0),
        (UNIT_DIAMOND, 0, 1, 0),  # in debt by as much as it holds
        (UNIT_COIN, 0, 0, 1),
    ],
)
def test_a_wallet_with_a_balance_hold_or_order_cannot_close(
    status: WalletStatus.ValueType, unit: Unit.ValueType, balance: int, held: int, orders: int
) -> None:
    before = books(status=status)
    before.accounts["anna", unit] = Account("anna", unit, balance=balance, held=held)
    before.rows[PendingTopUps, "anna"] = PendingTopUps("anna", orders)
    close = UpdateWalletRequest(owner_id="anna", status=WALLET_STATUS_CLOSED)
    decision = set_status(close, OPEN_ITEMS, before)
    assert not isinstance(decision, Posted)
    assert decision.reason == ERROR_REASON_WALLET_NOT_EMPTY
    assert decision.figures == {
        "owner_id": "anna",
        "coins": str(balance if unit == UNIT_COIN else 0),
        "diamonds": str(balance if unit == UNIT_DIAMOND else 0),
        "held": str(held),
        "open_top_ups": str(orders),
    }


@pytest.mark.parametrize("known", [None, ADULT, MINOR, VERIFIED_ADULT])
@pytest.mark.parametrize("asked", [None, ADULT, MINOR, VERIFIED_ADULT])
@pytest.mark.parametrize("status", STATUSES)
def test_the_last_update_of_the_age_holds_until_the_wallet_is_closed(
    status: WalletStatus.ValueType, asked: date | None, known: date | None
) -> None:
    before = books(status=status, known=known)
    decision = set_age(UpdateWalletRequest(owner_id="anna"), asked, before)
    if status == WALLET_STATUS_CLOSED:
        assert not isinstance(decision, Posted)
        assert decision.reason == ERROR_REASON_WALLET_CLOSED
    else:
        assert isinstance(decision, Posted)
        assert [(owner.status, owner.adult_from) for owner in decision.owners] == [(status, asked)]
    assert before.owners["anna"].adult_from == known
