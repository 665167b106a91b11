"""Claims: taken once, by what is posted first."""

from __future__ import annotations

import uuid

import pytest
from giftpay.v1 import (
    ERROR_REASON_BALANCE_LIMIT,
    SYSTEM_ACCOUNT_ISSUANCE,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    UNIT_COIN,
    ConfirmTopUpRequest,
)
from giftpay_server.ledger.model import Command, Decision, Draft, Leg, Posted, refuse
from giftpay_server.ledger.rules import BrokenRuleError, decide

from tests.ledger.histories import opening_books
from tests.ledger.movements import EVERY_MOVEMENT

FIRST, SECOND = (str(uuid.UUID(int=number)) for number in (1, 2))
CREDIT = Posted(legs=(Leg("anna", UNIT_COIN, 5, SYSTEM_ACCOUNT_ISSUANCE),))


def claiming(command_id: str, decision: Decision) -> Command:
    return Command(
        id=command_id,
        caller="test",
        kind=TRANSACTION_KIND_CONFIRM_TOP_UP,
        request=ConfirmTopUpRequest(),
        accounts=(("anna", UNIT_COIN),),
        decide=lambda _: decision,
        claims=("payment:1",),
    )


def test_what_is_posted_takes_its_claims() -> None:
    books, draft = opening_books([0, 0, 0]), Draft()
    decide([claiming(FIRST, CREDIT)], books, draft, EVERY_MOVEMENT)
    assert books.claims == draft.claims == {"payment:1": FIRST}


def test_what_is_refused_takes_none() -> None:
    books, draft = opening_books([0, 0, 0]), Draft()
    decide([claiming(FIRST, refuse(ERROR_REASON_BALANCE_LIMIT))], books, draft, EVERY_MOVEMENT)
    assert books.claims == draft.claims == {}


def test_a_claim_can_be_repeated_and_keeps_its_first_transaction() -> None:
    books, draft = opening_books([0, 0, 0]), Draft()
    books.claims["payment:1"] = FIRST
    decide([claiming(SECOND, Posted())], books, draft, EVERY_MOVEMENT)
    assert books.claims == {"payment:1": FIRST}
    assert draft.claims == {}


def test_nothing_moves_twice_under_one_claim() -> None:
    books = opening_books([0, 0, 0])
    with pytest.raises(BrokenRuleError):
        decide([claiming(FIRST, CREDIT), claiming(SECOND, CREDIT)], books, Draft(), EVERY_MOVEMENT)
