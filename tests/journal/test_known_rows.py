"""Cached rows of slices are used without locks, and never when they are stale."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
from giftpay.v1 import (
    ERROR_REASON_REDEMPTION_STATE,
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    AdjustBalanceRequest,
)
from giftpay_server.journal import committer, known_rows
from giftpay_server.journal.known_rows import KnownRows, Terms
from giftpay_server.journal.store import Kept, Table, Tables, lock_accounts
from giftpay_server.ledger.model import (
    AccountKey,
    Books,
    Command,
    Decision,
    Grant,
    Leg,
    LotKind,
    Outcome,
    Posted,
    refuse,
    wallet,
)
from giftpay_server.postgres.pool import Connection, Pool

from tests.journal.journals import PATIENT, adjust, balance, running_journal

MOST = 30  # coins that an owner may be given, all in all
CREATE = """
    CREATE TABLE IF NOT EXISTS allowance (owner_id text PRIMARY KEY, given bigint NOT NULL);
    GRANT SELECT, INSERT, UPDATE ON allowance TO giftpay_server
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an owner was given: a companion of the owner's accounts."""

    owner_id: str
    given: int = 0

    @property
    def key(self) -> str:
        return self.owner_id


async def load(connection: Connection, keys: Any) -> list[Allowance]:
    sql = "SELECT owner_id, given FROM allowance WHERE owner_id = ANY($1::text[])"
    return [Allowance(*row) for row in await connection.fetch(sql, keys)]


async def save(connection: Connection, rows: Any) -> None:
    sql = """
        INSERT INTO allowance SELECT * FROM unnest($1::text[], $2::bigint[])
            ON CONFLICT (owner_id) DO UPDATE SET given = excluded.given
    """
    await connection.execute(sql, [r.owner_id for r in rows], [r.given for r in rows])


TABLES: Tables = {Allowance: Table(load=load, save=save, kept=Kept.COMPANION)}


def give(owner_id: str, amount: int) -> Command:
    """Coins within the owner's allowance."""
    key = str(uuid.uuid4())

    def decide(books: Books) -> Decision:
        row = books.row(Allowance, owner_id) or Allowance(owner_id)
        if row.given + amount > MOST:
            return refuse(ERROR_REASON_REDEMPTION_STATE)
        grant = Grant(LotKind.ADJUSTMENT, key)
        leg = Leg(owner_id, UNIT_COIN, amount, SYSTEM_ACCOUNT_ADJUSTMENT, grant)
        return Posted(legs=(leg,), rows=(replace(row, given=row.given + amount),))

    return Command(
        id=key,
        caller="test",
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=AdjustBalanceRequest(owner_id=owner_id, unit=UNIT_COIN, amount=amount),
        accounts=wallet(owner_id),
        decide=decide,
        reads=((Allowance, owner_id),),
    )


@pytest.fixture
async def locked(admin: Pool, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The table of allowances; and how many accounts each batch under locks has locked."""
    await admin.execute(CREATE)
    seen: list[int] = []

    async def noted(connection: Connection, keys: Collection[AccountKey]) -> None:
        seen.append(len(keys))
        await lock_accounts(connection, keys)

    monkeypatch.setattr(committer, "lock_accounts", noted)
    return seen


def posted(answer: Any) -> bool:
    return isinstance(answer, Outcome) and not answer.transaction.reason


async def test_a_cap_holds_without_a_lock(
    database: str, admin: Pool, owners: list[str], locked: list[int]
) -> None:
    async with running_journal(
        database, limits=replace(PATIENT, batch_max=4), tables=TABLES
    ) as journal:
        answers = await asyncio.gather(
            *(journal.record(give(owner, 1)) for _ in range(2 * MOST) for owner in owners)
        )
    assert sum(map(posted, answers)) == 3 * MOST
    assert [await balance(admin, owner) for owner in owners] == [MOST] * 3
    assert locked == []


async def test_a_cap_holds_over_two_journals(
    database: str, admin: Pool, owners: list[str], locked: list[int]
) -> None:
    limits = replace(PATIENT, batch_max=4)
    async with (
        running_journal(database, limits=limits, tables=TABLES) as one,
        running_journal(database, limits=limits, tables=TABLES) as two,
    ):
        answers = await asyncio.gather(
            *(j.record(give(o, 1)) for _ in range(MOST) for j in (one, two) for o in owners)
        )
    assert sum(map(posted, answers)) == 3 * MOST
    assert [await balance(admin, owner) for owner in owners] == [MOST] * 3


async def test_a_companion_is_evicted_with_its_accounts_and_not_before(
    database: str,
    admin: Pool,
    owners: list[str],
    locked: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a batch in flight decided is never read from the database beside its accounts."""
    monkeypatch.setattr(committer, "ACCOUNTS_MAX", 2)
    async with running_journal(
        database, limits=replace(PATIENT, batch_max=2), tables=TABLES
    ) as journal:
        commands = [give(owner, 1) for _ in range(2 * MOST) for owner in owners]
        answers = await journal.record_all(commands)
    assert sum(map(posted, answers)) == 3 * MOST
    assert [await balance(admin, owner) for owner in owners] == [MOST] * 3


async def test_a_batch_that_fails_takes_its_companions_with_it(
    database: str, admin: Pool, owners: list[str], locked: list[int]
) -> None:
    async with running_journal(
        database, limits=replace(PATIENT, batch_max=1), tables=TABLES
    ) as journal:
        assert posted(await journal.record(give(owners[0], 1)))
        bad = give(owners[0], MOST - 1)
        bad.caller = "\0"  # Postgres refuses it, after it was decided
        answers = await journal.record_all([bad, give(owners[0], MOST - 1)])
        assert [posted(answer) for answer in answers] == [False, True]
        assert not posted(await journal.record(give(owners[0], 1)))
    assert await balance(admin, owners[0]) == MOST


async def test_commands_beside_them_stay_without_locks(
    database: str, admin: Pool, owners: list[str], locked: list[int]
) -> None:
    async with running_journal(database, tables=TABLES) as journal:
        for _ in range(5):
            both = (give(owners[0], 1), adjust(owners[1], 1))
            assert all(map(posted, await journal.record_all(both)))
    assert locked == []


class Term(NamedTuple):
    """Something that never changes."""

    name: str
    text: str

    @property
    def key(self) -> str:
        return self.name


def test_terms_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_rows, "TERMS_MAX", 20_000)
    terms = Terms()
    for number in range(100):
        terms.add((Term, str(number)), Term(str(number), "x" * 1_000))
        assert terms.get((Term, "0")) is not None  # it is used, and so it stays
    kept = [number for number in range(100) if terms.get((Term, str(number))) is not None]
    assert 10 < len(kept) < 20
    assert kept[0] == 0
    assert kept[-1] == 99


def test_what_is_not_cached_is_not_found() -> None:
    rows = KnownRows({Term: Table()})
    assert not rows.are_kept([(Term, "a")])
    rows.add({(Term, "a"): Term("a", "")})
    command = give("anna", 1)
    command.reads = ((Term, "a"),)
    assert rows.find([command]) == {}
