"""A command may be left undecided: nothing is stored of it, and nobody else notices."""

from __future__ import annotations

import uuid
from copy import deepcopy

import pytest
from giftpay_server.config import Limits
from giftpay_server.journal.failures import CommandFailedError
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.queue import WEIGHT_MAX, CommandQueue
from giftpay_server.ledger.model import Books, Command, Deferred, Draft, Outcome
from giftpay_server.ledger.rules import decide
from giftpay_server.postgres.pool import Pool
from hypothesis import given
from hypothesis import strategies as st

from tests.journal.journals import adjust, balance
from tests.ledger.histories import commands, opening_balances, opening_books
from tests.ledger.movements import EVERY_MOVEMENT

LATER = str(uuid.UUID(int=2**64))


def deferring(owner_id: str, amount: int = 1, *, until: list[bool]) -> Command:
    """The server's own command, which waits for its turn."""
    command = adjust(owner_id, amount, key=LATER)
    post = command.decide
    command.decide = lambda books: post(books) if until[0] else Deferred("not its turn")
    command.may_defer = True
    return command


@given(commands(), opening_balances(), st.integers(0, 12))
def test_what_is_deferred_changes_nothing(
    batch: list[Command], balances: list[int], place: int
) -> None:
    def decided(commands: list[Command]) -> tuple[list[object], Books, Draft]:
        books, draft = opening_books(balances, diamonds=balances), Draft()
        return list(decide(deepcopy(commands), books, draft, EVERY_MOVEMENT)), books, draft

    place = min(place, len(batch))
    answers, books, draft = decided(batch)
    with_it = [*batch[:place], deferring("anna", until=[False]), *batch[place:]]
    answers_with_it, books_with_it, draft_with_it = decided(with_it)
    assert answers_with_it.pop(place) == Deferred("not its turn")
    assert (answers_with_it, books_with_it, draft_with_it) == (answers, books, draft)


async def test_what_was_deferred_is_decided_later_under_the_same_key(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    turn = [False]
    own = deferring(owners[0], until=turn)
    deferred, posted = await journal.record_all([own, adjust(owners[0], 5)])
    assert isinstance(deferred, Deferred)
    assert isinstance(posted, Outcome)
    turn[0] = True
    answer = await journal.record(own)
    assert isinstance(answer, Outcome)
    assert not answer.replayed
    assert await balance(admin, owners[0]) == 6


async def test_only_the_servers_own_commands_defer(journal: Journal, owners: list[str]) -> None:
    command = deferring(owners[0], until=[False])
    command.id, command.may_defer = str(uuid.uuid4()), False
    with pytest.raises(CommandFailedError):
        await journal.record(command)


async def test_a_batch_is_bounded_by_what_its_commands_touch() -> None:
    queue = CommandQueue(Limits(batch_max=10))
    heavy = [adjust("anna", 1) for _ in range(6)]
    for command in heavy:
        command.accounts = [(f"owner-{number}", 1) for number in range(15)]  # type: ignore[misc]
    queue.put([*heavy, *(adjust("anna", 1) for _ in range(30))])
    batches = [await queue.take(), await queue.take()]
    weights = [sum(each.command.weight for each in batch) for batch in batches]
    assert [len(batch) for batch in batches] == [2, 2]
    assert max(weights) <= WEIGHT_MAX * 10
