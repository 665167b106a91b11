"""Coming of age, and whose details agree."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    WALLET_STATUS_ACTIVE,
    OpenWalletRequest,
)
from giftpay_server.ledger.books import Books, Owner
from giftpay_server.ledger.commands import Decision, Posted
from giftpay_server.wallet.rules import VERIFIED_ADULT, adult_from, age_status, open_wallet
from giftpay_server.wire.fields import OLDEST_BIRTH
from hypothesis import given
from hypothesis import strategies as st

TODAY = date(2026, 11, 22)
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


def test_nothing_known_is_unverified_and_verified_is_adult_for_ever() -> None:
    assert age_status(None, TODAY) == AGE_STATUS_UNVERIFIED
    assert age_status(VERIFIED_ADULT, OLDEST_BIRTH) == AGE_STATUS_ADULT


@given(births)
def test_no_birth_looks_like_a_mere_verification(birth: date) -> None:
    assert adult_from(birth) > VERIFIED_ADULT


def opened(*, asked: date | None, known: date | None, country: str = "DE") -> Decision:
    """What OpenWallet comes to for a wallet in DE that is there already."""
    now = datetime(TODAY.year, TODAY.month, TODAY.day, 23, 59, tzinfo=UTC)
    owner = Owner("anna", WALLET_STATUS_ACTIVE, "DE", known, now)
    request = OpenWalletRequest(owner_id="anna", country_code=country)
    if asked == VERIFIED_ADULT:
        request.age_verified = True
    elif asked is not None:
        request.date_of_birth = "hashed"
    return open_wallet(request, asked, Books(now=now, catalog=None, owners={"anna": owner}))


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
