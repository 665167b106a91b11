"""Any commands, split over two journals: as if one batch had come before the other."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from itertools import chain, count, product
from typing import Any

import pytest
from giftpay.v1 import WALLET_STATUS_ACTIVE, ApplyCatalogRequest
from giftpay_server.catalog.messages import apply_command
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import Account, Answer, Books, Command, KeyReused, Outcome, Owner
from giftpay_server.postgres.pool import Pool
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.catalog import examples
from tests.journal.journals import open_wallets, running_journal
from tests.ledger.histories import (
    GIFTS,
    NOW,
    UNITS,
    commands,
    decided,
    open_account,
    owners,
    price_list,
)
from tests.ledger.movements import adjust

Journals = tuple[Journal, Journal]
Halves = tuple[list[Command], list[Command]]

EDITIONS = count(1)

READ_ACCOUNTS = """
    SELECT owner_id, unit, balance, held, seq, spent, floor, taken
      FROM account
     WHERE owner_id = ANY($1::text[])
"""

READ_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture(scope="module")
async def journals(database: str, admin: Pool) -> AsyncIterator[Journals]:
    """Two journals, in which the gifts of the histories are sold."""
    catalog = examples.example()
    del catalog.gifts[:]
    catalog.gifts.extend(examples.gift(gift_id, coins) for gift_id, coins in GIFTS.items())
    request = ApplyCatalogRequest(idempotency_key="catalog", catalog=catalog)
    async with running_journal(database) as one, running_journal(database) as two:
        await one.record(apply_command(ask(request, Call("test"))))
        yield one, two
    # The journal survives a deadlock, which its order of locking is there to prevent.
    assert await admin.fetchval(READ_DEADLOCKS) == 0


@st.composite
def halves(draw: st.DrawFn, edition: int) -> Halves:
    """The commands of a history, each for one of two journals."""
    batch = draw(commands(edition))
    sides = draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch)))
    split = list(zip(batch, sides, strict=True))
    return [each for each, side in split if side], [each for each, side in split if not side]


def credits_of(edition: int) -> list[Command]:
    """Coins and diamonds for everyone."""
    return [
        adjust(str(uuid.uuid4()), owner_id, unit=unit, amount=15)
        for owner_id, unit in product(owners(edition), UNITS)
    ]


def model_books(edition: int) -> Books:
    books = Books(now=NOW, catalog=price_list())
    for owner_id in owners(edition):
        books.owners[owner_id] = Owner(owner_id, WALLET_STATUS_ACTIVE, "DE", None, NOW)
        for unit in UNITS:
            open_account(books, Account(owner_id, unit))
    return books


def comparable(answer: object) -> Any:
    """An answer without its time."""
    match answer:
        case Outcome(transaction, replayed):
            return transaction._replace(create_time=NOW), replayed
        case KeyReused(fields):
            return tuple(fields)
    raise AssertionError(answer)


def after(books: Books, split: Halves, answers: Sequence[Sequence[Answer | Exception]]) -> Books:
    """The books once these answers were given, by one batch before the other."""
    expected = [[comparable(answer) for answer in half] for half in answers]
    for order in ((0, 1), (1, 0)):
        model = deepcopy(books)
        found = {
            side: [comparable(each) for each in decided(split[side], model)[0]] for side in order
        }
        if [found[0], found[1]] == expected:
            return model
    raise AssertionError(f"no order of two batches gives {expected}")


async def at_once(journals: Sequence[Journal], split: Halves) -> list[list[Answer | Exception]]:
    # A batch for each journal: it has a conflict with the other's once at most, and is retried.
    one, two = (journal.record_all(half) for journal, half in zip(journals, split, strict=True))
    return list(await asyncio.gather(one, two))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_two_journals_decide_as_one(
    journals: Journals, admin: Pool, data: st.DataObject
) -> None:
    edition = next(EDITIONS)
    books = model_books(edition)
    await open_wallets(admin, owners(edition))
    opening = credits_of(edition)
    await journals[0].record_all(opening)
    decided(opening, books)
    rounds = data.draw(st.lists(halves(edition), min_size=1, max_size=3))
    answers = []
    for split in rounds:
        answers.append(await at_once(journals, split))
        books = after(books, split, answers[-1])
    rows = await admin.fetch(READ_ACCOUNTS, owners(edition))
    assert {(row[0], row[1]): Account(*row) for row in rows} == books.accounts
    for split, first in zip(rounds, answers, strict=True):
        again = await at_once(journals[::-1], split)
        assert again == [[replay(answer) for answer in half] for half in first]
    assert_decided_once(list(chain.from_iterable(chain.from_iterable(answers))))


def replay(answer: object) -> object:
    return answer._replace(replayed=True) if isinstance(answer, Outcome) else answer


def assert_decided_once(answers: Sequence[object]) -> None:
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    first = [outcome.transaction for outcome in outcomes if not outcome.replayed]
    assert len({transaction.id for transaction in first}) == len(first)
    assert {outcome.transaction for outcome in outcomes} == set(first)
