"""The laws of deciding, over random books and random batches."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from giftpay.v1 import (
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
)
from giftpay_server.ledger.model import Books, Command, Draft, HoldState, KeyReused, Outcome
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.histories import commands, decided, opening_balances, opening_books, price_list
from tests.ledger.movements import CLAIM, CLAW_BACK

Batch = list[Command]


def opened(balances: list[int]) -> Books:
    """Owners with so many coins each, and as many diamonds."""
    return opening_books(balances, diamonds=balances)


def copied(batch: Batch) -> Batch:
    return [deepcopy(command) for command in batch]


def joined(first: Draft, second: Draft) -> dict[str, Any]:
    return {
        "transactions": first.transactions + second.transactions,
        "entries": first.entries + second.entries,
        "lots": first.lots + second.lots,
        "withdrawals": first.withdrawals + second.withdrawals,
        "holds": first.holds | second.holds,
        "claims": first.claims | second.claims,
    }


@given(commands(), opening_balances(), st.integers(0, 12))
def test_cutting_a_batch_in_two_changes_nothing(
    batch: Batch, balances: list[int], cut: int
) -> None:
    whole, halves = opened(balances), opened(balances)
    at_once, draft = decided(copied(batch), whole)
    first, first_draft = decided(copied(batch)[:cut], halves)
    second, second_draft = decided(copied(batch)[cut:], halves)
    assert at_once == first + second
    assert whole == halves
    assert joined(draft, Draft()) == joined(first_draft, second_draft)


@given(commands(), opening_balances())
def test_no_batch_makes_value_or_loses_it(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    for unit in (UNIT_COIN, UNIT_DIAMOND):
        owners = sum(account.balance for key, account in books.accounts.items() if key[1] == unit)
        systems = sum(gained for (_, u), (gained, _) in draft.systems.items() if u == unit)
        assert owners - sum(balances) == -systems


@given(commands(), opening_balances())
def test_no_balance_passes_its_floor(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    for command in batch:
        decided([command], books)
        for account in books.accounts.values():
            assert account.available >= account.floor
            assert account.floor <= 0


@given(commands(), opening_balances())
def test_only_a_claw_back_lowers_a_floor_and_only_to_where_it_leaves_the_account(
    batch: Batch, balances: list[int]
) -> None:
    books = opened(balances)
    for command in batch:
        floors = {key: account.floor for key, account in books.accounts.items()}
        decided([command], books)
        for key, account in books.accounts.items():
            if account.floor < floors[key]:
                assert getattr(command.request, "reason", "") == CLAW_BACK
                assert account.floor == account.available


@given(commands(), opening_balances())
def test_a_floor_is_what_is_owed_and_nothing_else(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    for command in batch:
        decided([command], books)
        for account in books.accounts.values():
            assert account.floor == min(0, account.available)


@given(commands(), opening_balances())
def test_entries_number_each_account_without_a_gap(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    for key, account in books.accounts.items():
        seqs = [entry.seq for entry in draft.entries if (entry.owner_id, entry.unit) == key]
        assert seqs == list(range(1, account.seq + 1))


@given(commands(), opening_balances())
def test_each_entry_proves_the_balance_after_it(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    expected = {key: account.balance for key, account in books.accounts.items()}
    _, draft = decided(batch, books)
    for entry in draft.entries:
        expected[entry.owner_id, entry.unit] += entry.amount  # type: ignore[index]
        assert entry.balance == expected[entry.owner_id, entry.unit]  # type: ignore[index]
    assert expected == {key: account.balance for key, account in books.accounts.items()}


@given(commands(), opening_balances())
def test_the_odometer_counts_what_was_spent(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    for (owner_id, unit), account in books.accounts.items():
        mine = [e.amount for e in draft.entries if (e.owner_id, e.unit) == (owner_id, unit)]
        taken = [w.size for w in draft.withdrawals if (w.owner_id, w.unit) == (owner_id, unit)]
        assert account.taken == sum(taken)
        assert account.spent + account.taken == -sum(amount for amount in mine if amount < 0)


@given(commands(), opening_balances())
def test_what_is_held_is_the_sum_of_the_open_holds(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    for (owner_id, unit), account in books.accounts.items():
        mine = [h for h in draft.holds.values() if (h.owner_id, h.unit) == (owner_id, unit)]
        assert account.held == sum(h.amount for h in mine if h.state is HoldState.OPEN)


@given(commands(), opening_balances())
def test_a_hold_ends_once_and_leaves_the_balance_only_if_it_is_captured(
    batch: Batch, balances: list[int]
) -> None:
    books = opened(balances)
    ended: set[str] = set()
    for command in batch:
        _, draft = decided([command], books)
        for hold in draft.holds.values():
            if hold.state is not HoldState.OPEN:
                assert hold.hold_id not in ended
                ended.add(hold.hold_id)
            moved = [-hold.amount] if hold.state is HoldState.CAPTURED else []
            assert [entry.amount for entry in draft.entries] == moved


@given(commands(), opening_balances())
def test_lots_tile_what_was_minted(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    minted = {key: account.minted for key, account in books.accounts.items()}
    _, draft = decided(batch, books)
    for lot in draft.lots:
        assert lot.first == minted[lot.owner_id, lot.unit]  # type: ignore[index]
        minted[lot.owner_id, lot.unit] += lot.size  # type: ignore[index]
    for (owner_id, unit), account in books.accounts.items():
        if unit == UNIT_COIN:  # diamonds are not traced
            assert account.minted == minted[owner_id, unit]


@given(commands(), opening_balances())
def test_a_claim_moves_value_once(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    reasons = {
        transaction.id: AdjustBalanceRequest.FromString(transaction.request).reason
        for transaction in draft.transactions
        if transaction.kind == TRANSACTION_KIND_ADJUSTMENT
    }
    moved = [reasons.get(entry.transaction_id, "") for entry in draft.entries]
    credited = sorted(reason for reason in moved if reason.startswith(CLAIM))
    assert credited == sorted(draft.claims)


@given(commands(), opening_balances())
def test_a_replay_is_the_first_answer_also_after_a_new_catalog(
    batch: Batch, balances: list[int]
) -> None:
    books = opened(balances)
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


@given(commands(), opening_balances())
def test_one_key_is_decided_once(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    ids = [transaction.id for transaction in draft.transactions]
    assert len(ids) == len(set(ids))
    assert set(ids) == {command.id for command in batch}


@given(commands(), opening_balances())
def test_a_refusal_moves_nothing(batch: Batch, balances: list[int]) -> None:
    books = opened(balances)
    _, draft = decided(batch, books)
    refused = {transaction.id for transaction in draft.transactions if transaction.reason}
    assert not refused & {entry.transaction_id for entry in draft.entries}
    assert all(not t.entries for t in draft.transactions if t.id in refused)
