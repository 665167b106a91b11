"""Movements: each kind of transaction moves what its slice registers, and nothing else."""

from __future__ import annotations

import uuid

import pytest
from giftpay.v1 import (
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    UNIT_DIAMOND,
    ConfirmTopUpRequest,
    SystemAccount,
    TransactionKind,
    Unit,
)
from giftpay_server.ledger.model import Command, Draft, Leg, Posted
from giftpay_server.ledger.movements import MistakableKindsError, Movements, credit, debit, merged
from giftpay_server.ledger.rules import BrokenRuleError, decide
from giftpay_server.slices import REGISTRY
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.histories import opening_books

EARNING = credit(UNIT_DIAMOND, SYSTEM_ACCOUNT_CREATOR_EARNINGS, "earned")
GIFT, OTHER = TRANSACTION_KIND_GIFT, TRANSACTION_KIND_CONFIRM_TOP_UP

units = st.sampled_from([UNIT_COIN, UNIT_DIAMOND])
systems = st.sampled_from(SystemAccount.values()[1:])
kinds = st.sampled_from(TransactionKind.values()[1:])


def moving(kind: TransactionKind.ValueType, leg: Leg) -> Command:
    return Command(
        id=str(uuid.uuid4()),
        caller="test",
        kind=kind,
        request=ConfirmTopUpRequest(),
        accounts=((leg.owner_id, leg.unit),),
        decide=lambda _: Posted(legs=(leg,)),
    )


@given(kinds, units, systems, st.sampled_from([-1, 1]))
def test_a_kind_moves_what_its_slice_registers_and_nothing_else(
    kind: TransactionKind.ValueType,
    unit: Unit.ValueType,
    system: SystemAccount.ValueType,
    amount: int,
) -> None:
    books, draft = opening_books([9, 9, 9], diamonds=[9, 9, 9]), Draft()
    command = moving(kind, Leg("anna", unit, amount, system))
    movements: Movements = REGISTRY.movements
    if (unit, system, amount > 0) in movements.get(kind, ()):
        decide([command], books, draft, movements)
        assert [entry.amount for entry in draft.entries] == [amount]
    else:
        with pytest.raises(BrokenRuleError, match="is not registered"):
            decide([command], books, draft, movements)
        assert not draft.entries


def test_two_kinds_that_could_be_mistaken_for_one_another_are_refused() -> None:
    with pytest.raises(
        MistakableKindsError,
        match="GIFT and CONFIRM_TOP_UP both: credit of DIAMOND against CREATOR_EARNINGS",
    ):
        merged([{GIFT: [EARNING]}, {OTHER: [EARNING]}])


def test_one_of_them_alone_cannot_share_a_movement() -> None:
    shared = credit(UNIT_DIAMOND, SYSTEM_ACCOUNT_CREATOR_EARNINGS, "earned", shared=True)
    with pytest.raises(MistakableKindsError):
        merged([{GIFT: [shared]}, {OTHER: [EARNING]}])
    both = merged([{GIFT: [shared]}, {OTHER: [shared]}])
    assert both[GIFT] == both[OTHER] == {(UNIT_DIAMOND, SYSTEM_ACCOUNT_CREATOR_EARNINGS, True)}


def test_a_kind_is_registered_by_one_slice() -> None:
    spend = debit(UNIT_COIN, SYSTEM_ACCOUNT_GIFT_SALES, "spent")
    with pytest.raises(MistakableKindsError, match="GIFT is registered twice"):
        merged([{GIFT: [EARNING]}, {GIFT: [spend]}])
