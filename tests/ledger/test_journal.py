"""The journal on a real Postgres: races, faults and bounds."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    AdjustBalanceRequest,
)
from giftpay_server.ledger.books import Books, Leg
from giftpay_server.ledger.commands import Command, Decision, KeyReused, Outcome, Posted
from giftpay_server.ledger.feed import Feed
from giftpay_server.ledger.journal import CommandFailedError, DatabaseUnavailableError, Journal
from giftpay_server.ledger.waiting import Limits, OverloadedError, ShuttingDownError
from giftpay_server.postgres.pool import Pool, connector, create_pool

MakeDatabase = Callable[[], Awaitable[str]]

OPEN = """
    WITH new_account AS (
        INSERT INTO account (owner_id, unit)
        SELECT o, u FROM unnest($1::text[]) o, generate_series(1, 2) u
    )
    INSERT INTO owner SELECT o, 1, 'DE', NULL, now() FROM unnest($1::text[]) o
"""

OUT_OF_BALANCE = """
    SELECT a.owner_id, a.unit
      FROM account a LEFT JOIN entry e USING (owner_id, unit)
     WHERE a.owner_id !~ '^~'
     GROUP BY a.owner_id, a.unit
    HAVING a.balance <> coalesce(sum(e.amount), 0) OR a.seq <> count(e.seq)
    UNION ALL
    SELECT 'total', unit FROM account GROUP BY unit HAVING sum(balance) <> 0
"""


async def no_catalog(_connection: object, _version: int) -> None:
    return None


@pytest.fixture(scope="module")
async def database(new_database: MakeDatabase) -> str:
    return await new_database()


@pytest.fixture(scope="module")
async def admin(database: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Connections as the owner of the schema."""
    async with asyncpg.create_pool(database, min_size=1, max_size=3) as pool:
        yield pool


@pytest.fixture(autouse=True)
async def books_balance(admin: Pool) -> AsyncIterator[None]:
    yield
    assert await admin.fetch(OUT_OF_BALANCE) == []


@pytest.fixture
async def owners(admin: Pool) -> list[str]:
    """Three owners with nothing."""
    names = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("anna", "ben", "cleo")]
    await admin.execute(OPEN, names)
    return names


@asynccontextmanager
async def running_journal(
    dsn: str, *, limits: Limits | None = None, clock: Callable[[], datetime] | None = None
) -> AsyncIterator[Journal]:
    async with create_pool(dsn, size=3) as pool:
        journal = Journal(
            pool,
            Feed(),
            connect=connector(dsn),
            clock=clock or (lambda: datetime.now(UTC)),
            catalog_at=no_catalog,
            tables={},
            limits=limits or Limits(),
        )
        task = asyncio.create_task(journal.run())
        try:
            yield journal
        finally:
            journal.drain()
            await task


@pytest.fixture
async def journal(database: str) -> AsyncIterator[Journal]:
    async with running_journal(database) as journal:
        yield journal


def adjust(owner_id: str, amount: int, *, key: str = "") -> Command:
    def decide(books: Books) -> Decision:
        return Posted(legs=(Leg(owner_id, UNIT_COIN, amount, SYSTEM_ACCOUNT_ADJUSTMENT),))

    return Command(
        id=key or str(uuid.uuid4()),
        caller="test",
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=AdjustBalanceRequest(owner_id=owner_id, unit=UNIT_COIN, amount=amount),
        accounts=((owner_id, UNIT_COIN),),
        decide=decide,
    )


async def balance(admin: Pool, owner_id: str) -> int:
    sql = "SELECT balance FROM account WHERE owner_id = $1 AND unit = 1"
    return int(await admin.fetchval(sql, owner_id))


def replayed(answers: Sequence[Any]) -> list[bool]:
    return sorted(answer.replayed for answer in answers)


async def test_the_same_key_at_once_through_two_journals_is_posted_once(
    database: str, admin: Pool, owners: list[str]
) -> None:
    keys = [str(uuid.uuid4()) for _ in range(100)]
    async with running_journal(database) as one, running_journal(database) as two:
        answers = await asyncio.gather(
            *(j.record(adjust(owners[0], 1, key=key)) for key in keys for j in (one, two))
        )
    assert replayed(answers) == [False] * 100 + [True] * 100
    assert await balance(admin, owners[0]) == 100


async def test_the_same_key_for_other_wallets_through_two_journals_is_posted_once(
    database: str, admin: Pool, owners: list[str]
) -> None:
    keys = [str(uuid.uuid4()) for _ in range(100)]
    async with running_journal(database) as one, running_journal(database) as two:
        answers = await asyncio.gather(
            *(j.record(adjust(o, 1, key=k)) for k in keys for j, o in zip((one, two), owners))  # noqa: B905
        )
    posted = [answer for answer in answers if isinstance(answer, Outcome)]
    reused = [answer for answer in answers if isinstance(answer, KeyReused)]
    assert (len(posted), len(reused)) == (100, 100)
    assert {answer.fields for answer in map(_hashable, reused)} == {("owner_id",)}
    assert await balance(admin, owners[0]) + await balance(admin, owners[1]) == 100


def _hashable(reused: KeyReused) -> KeyReused:
    return KeyReused(tuple(reused.fields))


async def test_two_journals_over_the_same_accounts_do_not_deadlock(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as one, running_journal(database) as two:
        await asyncio.gather(
            *(j.record(adjust(o, 1)) for _ in range(200) for j in (one, two) for o in owners)
        )
    assert [await balance(admin, owner) for owner in owners] == [400] * 3


async def test_one_bad_command_does_not_sink_its_neighbours(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    bad = adjust(owners[1], -1)  # a rule that overspends: the kernel's own guard stops it
    batch = [adjust(owners[0], 5), bad, adjust(owners[0], 5)]
    first, failed, last = await journal.record_all(batch)
    assert isinstance(first, Outcome)
    assert isinstance(failed, CommandFailedError)
    assert isinstance(last, Outcome)
    assert await balance(admin, owners[0]) == 10
    assert await balance(admin, owners[1]) == 0


async def test_a_value_that_postgres_refuses_sinks_nobody_else(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    bad = adjust(owners[1], 1)
    bad.caller = "\0"
    failed, posted = await journal.record_all([bad, adjust(owners[0], 5)])
    assert isinstance(failed, CommandFailedError)
    assert isinstance(posted, Outcome)


async def test_a_caller_who_goes_before_the_batch_is_dropped(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    waiting = asyncio.create_task(journal.record(adjust(owners[0], 1)))
    gone = asyncio.create_task(journal.record(adjust(owners[1], 1)))
    async with admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM account WHERE owner_id = $1 FOR UPDATE", owners[0])
        first = asyncio.create_task(journal.record(adjust(owners[0], 1)))
        await asyncio.sleep(0.2)
        gone_later = asyncio.create_task(journal.record(adjust(owners[1], 1)))
        await asyncio.sleep(0.05)
        gone_later.cancel()
    await asyncio.gather(waiting, gone, first)
    assert await balance(admin, owners[0]) == 2
    assert await balance(admin, owners[1]) == 1


async def test_a_caller_who_goes_later_is_only_not_answered(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    async with admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM account WHERE owner_id = $1 FOR UPDATE", owners[0])
        taken = asyncio.create_task(journal.record(adjust(owners[0], 1)))
        await asyncio.sleep(0.2)
        taken.cancel()
    assert isinstance(await journal.record(adjust(owners[0], 1)), Outcome)
    assert await balance(admin, owners[0]) == 2


async def test_a_full_queue_refuses_at_once_and_takes_a_call_whole_or_not_at_all(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database, limits=Limits(queue_max=5)) as journal:
        async with admin.acquire() as blocker, blocker.transaction():
            await blocker.execute("SELECT FROM account WHERE owner_id = $1 FOR UPDATE", owners[0])
            taken = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await asyncio.sleep(0.2)
            queued = [asyncio.create_task(journal.record(adjust(owners[0], 1))) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError):
                await journal.record_all([adjust(owners[0], 1) for _ in range(3)])
            queued.append(asyncio.create_task(journal.record(adjust(owners[0], 1))))
            await asyncio.sleep(0)
        await asyncio.gather(taken, *queued)
    assert await balance(admin, owners[0]) == 5


async def test_a_queue_too_long_for_its_pace_refuses_what_comes(
    database: str, admin: Pool, owners: list[str]
) -> None:
    limits = Limits(batch_max=1, wait_max_s=1e-6)
    async with running_journal(database, limits=limits) as journal:
        for _ in range(9):
            await journal.record(adjust(owners[0], 1))
        async with admin.acquire() as blocker, blocker.transaction():
            await blocker.execute("SELECT FROM account WHERE owner_id = $1 FOR UPDATE", owners[0])
            taken = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await asyncio.sleep(0.2)
            queued = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError):
                await journal.record(adjust(owners[0], 1))
        await asyncio.gather(taken, queued)


async def test_a_session_that_is_killed_costs_one_batch(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    await journal.record(adjust(owners[0], 1))
    async with admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM account WHERE owner_id = $1 FOR UPDATE", owners[0])
        command = adjust(owners[0], 1)
        lost = asyncio.create_task(journal.record(command))
        await asyncio.sleep(0.2)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND classid = 7170"
        )
        with pytest.raises(DatabaseUnavailableError):
            await lost
    again = await journal.record(command)
    assert isinstance(again, Outcome)
    assert not again.replayed
    assert await balance(admin, owners[0]) == 2


async def test_what_is_taken_is_finished_and_nothing_more_is_taken(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as journal:
        taken = [asyncio.create_task(journal.record(adjust(owners[0], 1))) for _ in range(50)]
        await asyncio.sleep(0)
        journal.drain()
        with pytest.raises(ShuttingDownError):
            await journal.record(adjust(owners[0], 1))
    assert all(isinstance(answer, Outcome) for answer in await asyncio.gather(*taken))
    assert await balance(admin, owners[0]) == 50


async def test_time_never_runs_back_within_an_account(
    database: str, admin: Pool, owners: list[str]
) -> None:
    now = datetime.now(UTC)
    times = iter([now, now - timedelta(hours=1), now + timedelta(hours=1)])
    async with running_journal(database, clock=lambda: next(times)) as journal:
        for _ in range(3):
            await journal.record(adjust(owners[0], 1))
    sql = "SELECT create_time FROM entry WHERE owner_id = $1 ORDER BY seq"
    found = [row[0] for row in await admin.fetch(sql, owners[0])]
    assert found == [now, now, now + timedelta(hours=1)]


@pytest.mark.parametrize("table", ["entry", "transactions", "claim", "catalog", "money_movement"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET create_time = create_time", "DELETE FROM {}", "TRUNCATE {}"]
)
async def test_the_servers_own_connections_cannot_change_the_past(
    database: str, table: str, statement: str
) -> None:
    sql = statement.format(table).replace(
        "create_time", "id" if table == "claim" else "create_time"
    )
    async with create_pool(database, size=1) as pool:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(sql)
        assert await pool.fetchval("SELECT current_user") == "giftpay_server"


async def test_the_table_refuses_what_the_rules_should_never_send(
    admin: Pool, owners: list[str]
) -> None:
    for change in (
        "balance = -1",
        "held = 1",
        "floor = 1",
        "spent = -1",
        f"balance = {10**18 + 1}",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await admin.execute(f"UPDATE account SET {change} WHERE owner_id = $1", owners[0])
