"""Conflicts are counted by account, and as-of reads cause none."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from giftpay_server.journal import committer
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.store import lock_accounts
from giftpay_server.ledger.model import AccountKey, Outcome, wallet
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.wallet.store import close_time

from tests.journal.journals import adjust, balance, frozen, running_journal

READ_VERSIONS = "SELECT version FROM account WHERE owner_id = $1 ORDER BY unit"


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Whose accounts were locked, batch by batch."""
    seen: list[set[str]] = []

    async def noted(connection: Connection, keys: Collection[AccountKey]) -> None:
        seen.append({owner for owner, _ in keys})
        await lock_accounts(connection, keys)

    monkeypatch.setattr(committer, "lock_accounts", noted)
    return seen


async def test_one_conflict_locks_one_batch(
    database: str, admin: Pool, owners: list[str], locked: list[set[str]]
) -> None:
    anna, ben, _ = owners
    async with running_journal(database) as one, running_journal(database) as two:
        for journal in (one, two, one):  # the last one has a conflict
            await journal.record(adjust(anna, 1))
        for _ in range(5):
            await one.record(adjust(anna, 1))
            await one.record(adjust(ben, 1))
    assert locked == [{anna}]
    assert await balance(admin, anna) == 8


async def test_accounts_with_repeated_conflicts_are_locked_at_once_and_others_are_not(
    database: str, admin: Pool, owners: list[str], locked: list[set[str]]
) -> None:
    anna, ben, _ = owners
    async with running_journal(database) as one, running_journal(database) as two:
        for _ in range(20):
            for journal in (one, two):
                await journal.record(adjust(anna, 1))
                await journal.record(adjust(ben if journal is one else owners[2], 1))
    assert set.union(*locked) == {anna}
    assert 25 < len(locked) < 40  # most of the 40; the others were optimistic
    assert await balance(admin, anna) == 40


async def test_an_as_of_read_writes_nothing(
    journal: Journal, admin: Pool, owners: list[str], locked: list[set[str]]
) -> None:
    await journal.record(adjust(owners[0], 1))
    before = await admin.fetch(READ_VERSIONS, owners[0])
    for _ in range(5):
        assert await journal.close_time(wallet(owners[0]), datetime.now(UTC))
        assert await admin.fetch(READ_VERSIONS, owners[0]) == before
        await journal.record(adjust(owners[1], 1))
    await journal.record(adjust(owners[0], 1))
    assert locked == []


async def test_an_as_of_read_waits_for_batches_in_flight(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    async with frozen(journal, admin, owners[0]):
        waiting = asyncio.create_task(journal.record(adjust(owners[0], 1)))
        await asyncio.sleep(0.1)
        now = datetime.now(UTC)
        look = asyncio.create_task(journal.close_time(wallet(owners[0]), now))
        await asyncio.wait([look], timeout=0.2)
        assert not look.done()
    assert await look
    assert isinstance(await waiting, Outcome)


async def test_nothing_is_booked_at_a_closed_time(
    database: str, admin: Pool, owners: list[str]
) -> None:
    """Also if the clock is set back after the read."""
    clock = [datetime.now(UTC) + timedelta(seconds=1)]
    async with running_journal(database, clock=lambda: clock[0]) as journal:
        await journal.record(adjust(owners[0], 1))
        await journal.close_time(wallet(owners[0]), at := clock[0] + timedelta(milliseconds=1))
        clock[0] -= timedelta(seconds=1)
        answer = await journal.record(adjust(owners[0], 1))
    assert isinstance(answer, Outcome)
    assert answer.transaction.create_time > at


async def test_an_as_of_read_closes_the_time_for_another_server(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as one, running_journal(database) as two:
        await one.record(adjust(owners[0], 1))
        await two.record(adjust(owners[1], 1))
        now = datetime.now(UTC)
        assert not await one.close_time(wallet(owners[0]), now)
        await close_time(admin, owners[0], now)
        await two.record(adjust(owners[0], 1))
    sql = "SELECT max(create_time) FROM entry WHERE owner_id = $1"
    assert await admin.fetchval(sql, owners[0]) > now
