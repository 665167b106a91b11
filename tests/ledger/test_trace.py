"""Tracing: roots and fates equal those of named coins, through every reversal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from giftpay_server.ledger.lots import Share
from giftpay_server.ledger.trace import (
    BrokenTraceError,
    CameBack,
    CoinState,
    Fate,
    fate,
    key,
    roots,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.purses import Purse, Step, histories


def coins_of(share: Share) -> list[tuple[int, int]]:
    """Each coin of a share: the seq of its lot, and its place."""
    return [(share.lot.seq, share.first + nth) for nth in range(share.size)]


@settings(max_examples=1_500)
@given(histories())
def test_the_roots_of_each_debit_are_those_of_its_coins(history: list[Step]) -> None:
    purse = Purse().play(history)
    for debit in purse.debits:
        found = [coin for share in roots(purse.past, debit) for coin in coins_of(share)]
        firsts = [coin.root for coin in purse.coins.took[debit.seq]]
        assert found == [(coin.lot, coin.place) for coin in firsts]


@settings(max_examples=1_500)
@given(histories())
def test_the_fate_of_each_lot_is_that_of_its_coins(history: list[Step]) -> None:
    purse = Purse().play(history)
    for lot in purse.lots:
        found = [each for part in fate(purse.past, lot) for each in _by_coin(part)]
        coins = [coin.last for coin in purse.coins.coins if coin.lot == lot.seq]
        assert found == [(coin.lot, coin.place, coin.state, coin.taken_by) for coin in coins]


def _by_coin(fate: Fate) -> list[tuple[int, int, CoinState, int]]:
    taken_by = fate.debit.seq if fate.debit is not None else 0
    return [(*coin, fate.state, taken_by) for coin in coins_of(fate.share)]


@settings(max_examples=300)
@given(histories(), st.sets(st.integers(0, 20)))
def test_a_spend_that_was_not_read_is_a_spend_by_nobody(
    history: list[Step], unread: set[int]
) -> None:
    purse = Purse().play(history)
    whole, keep = purse.past, {key(back.debit) for back in purse.came_back}
    keep |= {(row.owner_id, row.unit, row.seq) for row in purse.withdrawals}
    read = [d for d in whole.debits if d.seq not in unread or key(d) in keep]
    for lot in purse.lots:
        found = [each for part in fate(replace(whole, debits=read), lot) for each in _by_coin(part)]
        known = {debit.seq for debit in read} | {0}
        expected = [each for part in fate(whole, lot) for each in _by_coin(part)]
        assert found == [(*e[:3], e[3] if e[3] in known else 0) for e in expected]


def test_a_gift_of_coins_that_came_back_was_paid_by_the_purchase() -> None:
    purse = Purse()
    for _ in range(2):
        purse.take(Step("buy", 5))
    purse.take(Step("gift", 4))
    purse.take(Step("reverse", 1))
    purse.withdraw(purse.coins.unspent[:6])  # the rest of both purchases
    (again,) = purse.take(Step("gift", 3))
    first, *_, returned = purse.lots
    assert roots(purse.past, again) == [Share(first, 0, 3)]
    assert fate(purse.past, first)[:2] == [
        Fate(Share(returned, 10, 3), CoinState.SPENT, again),
        Fate(Share(returned, 13, 1), CoinState.UNSPENT),
    ]


def test_coins_that_came_back_before_they_were_taken_are_no_trace() -> None:
    purse = Purse()
    purse.take(Step("adjust", 5))
    (gift,) = purse.take(Step("gift", 3))
    broken = replace(purse.past, came_back=[CameBack(purse.lots[0], gift)])
    with pytest.raises(BrokenTraceError):
        roots(broken, gift)
    with pytest.raises(BrokenTraceError):
        fate(broken, purse.lots[0])
