"""A failure before, in or after a batch affects no other command."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from giftpay_server.journal.failures import CommandFailedError, DatabaseUnavailableError
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import Outcome
from giftpay_server.postgres.pool import Pool

from tests.journal.journals import adjust, balance, frozen, running_journal

END_JOURNALS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'giftpay-server journal' AND datname = current_database()
"""


async def test_one_failing_command_does_not_fail_its_batch(
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


async def test_a_value_that_postgres_refuses_fails_only_its_command(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    bad = adjust(owners[1], 1)
    bad.caller = "\0"
    failed, posted = await journal.record_all([bad, adjust(owners[0], 5)])
    assert isinstance(failed, CommandFailedError)
    assert isinstance(posted, Outcome)


async def test_a_command_cancelled_before_its_batch_is_dropped(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    waiting = asyncio.create_task(journal.record(adjust(owners[0], 1)))
    gone = asyncio.create_task(journal.record(adjust(owners[1], 1)))
    async with frozen(journal, admin, owners[0]):
        first = asyncio.create_task(journal.record(adjust(owners[0], 1)))
        await asyncio.sleep(0.2)
        gone_later = asyncio.create_task(journal.record(adjust(owners[1], 1)))
        await asyncio.sleep(0.05)
        gone_later.cancel()
    await asyncio.gather(waiting, gone, first)
    assert await balance(admin, owners[0]) == 3
    assert await balance(admin, owners[1]) == 1


async def test_a_command_cancelled_later_is_still_decided(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    async with frozen(journal, admin, owners[0]):
        taken = asyncio.create_task(journal.record(adjust(owners[0], 1)))
        await asyncio.sleep(0.2)
        taken.cancel()
    assert isinstance(await journal.record(adjust(owners[0], 1)), Outcome)
    assert await balance(admin, owners[0]) == 3


async def test_a_session_that_is_killed_costs_one_batch(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    await journal.record(adjust(owners[0], 1))
    async with frozen(journal, admin, owners[0]):
        command = adjust(owners[0], 1)
        lost = asyncio.create_task(journal.record(command))
        await asyncio.sleep(0.2)
        await admin.execute(END_JOURNALS)
    with pytest.raises(DatabaseUnavailableError):
        await lost
    again = await journal.record(command)
    assert isinstance(again, Outcome)
    assert not again.replayed
    assert await balance(admin, owners[0]) == 3


async def test_the_clock_decides_and_entries_keep_their_order(
    database: str, admin: Pool, owners: list[str]
) -> None:
    now = datetime.now(UTC)
    clock = [now + timedelta(seconds=ahead) for ahead in (10, 5, 3_600)]
    current = [now]
    async with running_journal(database, clock=lambda: current[0]) as journal:
        await journal.record(adjust(owners[1], 1))  # so that the session has begun
        for current[0] in clock:
            await journal.record(adjust(owners[0], 1))
    entries = "SELECT create_time FROM entry WHERE owner_id = $1 ORDER BY seq"
    assert [row[0] for row in await admin.fetch(entries, owners[0])] == [
        clock[0],
        clock[0],
        clock[2],
    ]
    decided = """
        SELECT t.create_time FROM transactions t JOIN entry e ON e.transaction_id = t.id
         WHERE e.owner_id = $1 ORDER BY e.seq
    """
    assert [row[0] for row in await admin.fetch(decided, owners[0])] == clock


async def test_a_server_that_is_ahead_books_nothing(
    database: str, admin: Pool, owners: list[str]
) -> None:
    """Also before its watch has noticed."""
    async with running_journal(database, clock_skew_max_s=-3_600) as journal:
        with pytest.raises(DatabaseUnavailableError):
            await journal.record(adjust(owners[0], 1))
    assert await balance(admin, owners[0]) == 0
