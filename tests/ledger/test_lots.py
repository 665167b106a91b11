"""Lots: the intervals of an odometer equal a list of named coins, for any history."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from giftpay.v1 import SYSTEM_ACCOUNT_ISSUANCE, UNIT_DIAMOND
from giftpay_server.ledger.lots import Share, Withdrawn
from giftpay_server.ledger.model import Grant, Leg, LotKind, Positions
from giftpay_server.ledger.rules import BrokenRuleError
from giftpay_server.ledger.trace import CoinState
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.docs.markdown import table
from tests.ledger.purses import ACCOUNT, Purse, Step, histories, withdrawal


def places(positions: list[Positions]) -> list[int]:
    return [place for run in positions for place in range(run.first, run.end)]


def coins_of(shares: list[Share]) -> list[tuple[int, int]]:
    """Each coin of the shares: the seq of its lot, and its place."""
    return [(s.lot.seq, place) for s in shares for place in range(s.first, s.first + s.size)]


@settings(max_examples=1_500)
@given(histories())
def test_each_debit_took_the_coins_that_a_list_of_coins_says(history: list[Step]) -> None:
    purse = Purse().play(history)
    for debit in purse.debits:
        took = purse.coins.took[debit.seq]
        positions = purse.odometer.positions_taken(debit)
        shares = purse.odometer.shares(positions)
        assert coins_of(shares) == [(coin.lot, coin.place) for coin in took]
        assert len(places(positions)) == -debit.amount
        assert len(took) + purse.coins.owed.count(debit.seq) == -debit.amount


@settings(max_examples=300)
@given(histories(), histories())
def test_later_steps_do_not_change_the_positions_of_a_spend(
    before: list[Step], after: list[Step]
) -> None:
    purse = Purse().play(before)
    debits = list(purse.debits)
    then = [purse.odometer.positions_taken(debit) for debit in debits]
    purse.play(after)
    assert [places(purse.odometer.positions_taken(d)) for d in debits] == [
        places(each) for each in then
    ]


@given(histories())
def test_lots_tile_what_was_minted(history: list[Step]) -> None:
    purse = Purse().play(history)
    ends = [lot.end for lot in purse.lots]
    assert [lot.first for lot in purse.lots] == [0, *ends][:-1]
    account = purse.account
    assert account.minted == sum(lot.size for lot in purse.lots)
    assert account.taken == sum(row.size for row in purse.withdrawals)
    assert account.spent + account.taken == -sum(debit.amount for debit in purse.debits)


@settings(max_examples=300)
@given(histories(), st.data())
def test_exactly_the_coins_that_are_there_can_be_withdrawn(
    history: list[Step], data: st.DataObject
) -> None:
    purse = Purse().play(history)
    first = data.draw(st.integers(-1, len(purse.coins.coins) + 1))
    wanted = Positions(first, data.draw(st.integers(1, 4)))
    there = {coin.place for coin in purse.coins.unspent}
    if there.issuperset(places([wanted])):
        purse.book([withdrawal([wanted])])
        left = purse.odometer.withdrawn.positions(purse.account.spent, purse.account.balance)
        assert places(left) == sorted(there - set(places([wanted])))
    else:
        with pytest.raises(BrokenRuleError):
            purse.book([withdrawal([wanted])])


@given(histories())
def test_rank_and_place_are_each_others_inverse(history: list[Step]) -> None:
    purse = Purse().play(history)
    withdrawn = purse.odometer.withdrawn
    kept = [c.place for c in purse.coins.coins if c.state is not CoinState.WITHDRAWN]
    assert places(withdrawn.positions(0, len(kept))) == kept
    assert [withdrawn.rank(place) for place in kept] == list(range(len(kept)))


def test_a_withdrawal_is_of_coins_of_its_own_amount_and_says_what_it_read() -> None:
    purse = Purse().play([Step("buy", 9)])
    taken = withdrawal([Positions(2, 3)])
    grant = Grant(LotKind.ADJUSTMENT, "")
    for wrong in (
        taken._replace(amount=-4),
        taken._replace(amount=3),
        taken._replace(unit=UNIT_DIAMOND),
        taken._replace(overdraw=True),
        taken._replace(amount=3, grant=grant),
        withdrawal([Positions(2, 3), Positions(4, 1)]),
        withdrawal([Positions(2, 3), Positions(6, 0)]),
        withdrawal([Positions(2, 3), Positions(7, -1)]),
    ):
        with pytest.raises(BrokenRuleError):
            Purse().play([Step("buy", 9)]).book([wrong])
    del purse.books.rows[Withdrawn, ACCOUNT]
    with pytest.raises(BrokenRuleError):
        purse.book([taken])


def test_paid_coins_go_before_the_bonus_that_came_with_them() -> None:
    purse = Purse()
    purse.take(Step("buy", 9, bonus=3))
    (gift,) = purse.take(Step("gift", 9))
    (rest,) = purse.take(Step("gift", 2))
    paid, bonus = purse.lots
    odometer = purse.odometer
    assert odometer.shares(odometer.positions_taken(gift)) == [Share(paid, 0, 9)]
    assert odometer.shares(odometer.positions_taken(rest)) == [Share(bonus, 9, 2)]


def test_debt_is_paid_by_the_next_credit() -> None:
    purse = Purse()
    (owed,) = purse.take(Step("claw back", 7))
    assert purse.odometer.shares(purse.odometer.positions_taken(owed)) == []
    purse.take(Step("adjust", 4))
    purse.take(Step("buy", 9))
    first, second = purse.lots
    shares = purse.odometer.shares(purse.odometer.positions_taken(owed))
    assert shares == [Share(first, 0, 4), Share(second, 4, 3)]


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.lists(st.integers(0, 10**6)))
def test_the_prices_of_the_parts_of_a_lot_add_up(price: int, size: int, cuts: list[int]) -> None:
    purse = Purse()
    grant = Grant(LotKind.PAID, "", price, "EUR")
    purse.book([Leg(*ACCOUNT, size, SYSTEM_ACCOUNT_ISSUANCE, grant)])
    (lot,) = purse.lots
    edges = sorted({0, size, *(cut % size for cut in cuts)})
    parts = [Share(lot, edge, end - edge) for edge, end in pairwise(edges)]
    assert sum(part.price or 0 for part in parts) == price


def test_the_example_of_the_documents_is_what_the_kernel_does() -> None:
    purse = Purse()
    for _, _, amount, *figures, said in table("docs/ledger.md", "Lots by odometer"):
        positions = [Positions(int(a), int(b) - int(a) + 1) for a, b in RUN.findall(said)]
        leg = Leg(*ACCOUNT, int(amount.replace("\N{MINUS SIGN}", "-")), SYSTEM_ACCOUNT_ISSUANCE)
        if said.startswith("mints"):
            leg = leg._replace(grant=Grant(LotKind.PAID, ""))
        elif said.startswith("takes"):
            leg = leg._replace(withdraws=positions)
        (entry,) = purse.book([leg])
        lots = [Positions(lot.first, lot.size) for lot in purse.lots if lot.seq == entry.seq]
        took = purse.odometer.positions_taken(entry) if leg.amount < 0 else lots
        account = purse.account
        assert figures == [str(n) for n in (account.balance, account.spent, account.taken)]
        assert places(took) == places(positions)


RUN = re.compile(r"(\d+) to (\d+)")
