"""The laws of deciding, over random books and random batches."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND
from giftpay_server.ledger.books import Draft, HoldState
from giftpay_server.ledger.commands import Command, KeyReused, Outcome
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.histories import commands, decided, opening_books, opening_coins, price_list

Batch = list[Command]


def copied(batch: Batch) -> Batch:
    return [deepcopy(command) for command in batch]


def joined(first: Draft, second: Draft) -> dict[str, Any]:
    return {
        "transactions": first.transactions + second.transactions,
        "entries": first.entries + second.entries,
        "claims": first.claims | second.claims,
    }


@given(commands(), opening_coins(), st.integers(0, 12))
def test_cutting_a_batch_in_two_changes_nothing(batch: Batch, coins: list[int], cut: int) -> None:
    whole, halves = opening_books(coins), opening_books(coins)
    at_once, draft = decided(copied(batch), whole)
    first, first_draft = decided(copied(batch)[:cut], halves)
    second, second_draft = decided(copied(batch)[cut:], halves)
    assert at_once == first + second
    assert whole == halves
    assert joined(draft, Draft()) == joined(first_draft, second_draft)


@given(commands(), opening_coins())
def test_no_batch_makes_value_or_loses_it(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    _, draft = decided(batch, books)
    for unit, opened in ((UNIT_COIN, sum(coins)), (UNIT_DIAMOND, 0)):
        owners = sum(account.balance for key, account in books.accounts.items() if key[1] == unit)
        systems = sum(gained for (_, u), (gained, _) in draft.systems.items() if u == unit)
        assert owners - opened == -systems


@given(commands(), opening_coins())
def test_no_balance_passes_its_floor(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    decided(batch, books)
    assert all(account.available >= account.floor == 0 for account in books.accounts.values())


@given(commands(), opening_coins())
def test_entries_number_each_account_without_a_gap(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    _, draft = decided(batch, books)
    for key, account in books.accounts.items():
        seqs = [entry.seq for entry in draft.entries if (entry.owner_id, entry.unit) == key]
        assert seqs == list(range(1, account.seq + 1))


@given(commands(), opening_coins())
def test_each_entry_proves_the_balance_after_it(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    balances = {key: account.balance for key, account in books.accounts.items()}
    _, draft = decided(batch, books)
    for entry in draft.entries:
        balances[entry.owner_id, entry.unit] += entry.amount  # type: ignore[index]
        assert entry.balance == balances[entry.owner_id, entry.unit]  # type: ignore[index]
    assert balances == {key: account.balance for key, account in books.accounts.items()}


@given(commands(), opening_coins())
def test_the_odometer_counts_what_was_spent(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    _, draft = decided(batch, books)
    for (owner_id, unit), account in books.accounts.items():
        mine = [e.amount for e in draft.entries if (e.owner_id, e.unit) == (owner_id, unit)]
        assert account.spent == -sum(amount for amount in mine if amount < 0)


@given(commands(), opening_coins())
def test_what_is_held_is_the_sum_of_the_open_holds(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    _, draft = decided(batch, books)
    for (owner_id, unit), account in books.accounts.items():
        mine = [h for h in draft.holds.values() if (h.owner_id, h.unit) == (owner_id, unit)]
        assert account.held == sum(h.amount for h in mine if h.state is HoldState.OPEN)


@given(commands(), opening_coins())
def test_a_replay_is_the_first_answer_also_after_a_new_catalog(
    batch: Batch, coins: list[int]
) -> None:
    books = opening_books(coins)
    first, _ = decided(copied(batch), books)
    books.catalog = price_list(2, rose=1_000, live=1_000, lion=1_000)
    before = deepcopy(books)
    again, draft = decided(copied(batch), books)
    assert draft == Draft()
    assert books == before
    for answer, replay in zip(first, again, strict=True):
        match answer:
            case Outcome(transaction):
                assert replay == Outcome(transaction, replayed=True)
            case KeyReused():
                assert replay == answer


@given(commands(), opening_coins())
def test_one_key_is_decided_once(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    _, draft = decided(batch, books)
    ids = [transaction.id for transaction in draft.transactions]
    assert len(ids) == len(set(ids))
    assert set(ids) == {command.id for command in batch}


@given(commands(), opening_coins())
def test_a_refusal_moves_nothing(batch: Batch, coins: list[int]) -> None:
    books = opening_books(coins)
    _, draft = decided(batch, books)
    refused = {transaction.id for transaction in draft.transactions if transaction.reason}
    assert not refused & {entry.transaction_id for entry in draft.entries}
    assert all(not t.entries for t in draft.transactions if t.id in refused)
