"""No head-of-line blocking: a row locked by another session delays only commands that need it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from time import monotonic

import pytest
from giftpay.v1 import UNIT_COIN, UpdateWalletRequest
from giftpay_server.journal import side_lane
from giftpay_server.journal.failures import AccountBusyError, DatabaseUnavailableError
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import Command, Outcome
from giftpay_server.postgres.pool import Pool
from giftpay_server.wallet.messages import update_command
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call

from tests.journal.journals import PATIENT, adjust, balance, frozen, open_wallets, running_journal

HOLD_ACCOUNT = "SELECT 1 FROM account WHERE owner_id = $1 FOR UPDATE"
HOLD_OWNER = "SELECT 1 FROM owner WHERE owner_id = $1 FOR UPDATE"
HOLD_STRIPES = "SELECT 1 FROM account WHERE owner_id ~ '^~' FOR UPDATE"
USE_KEY = """
    INSERT INTO transactions (create_time, id, catalog_version, kind, reason, caller, entries,
                              request, answer)
    VALUES (now(), $1, 0, 11, 0, 'other', '', '', '')
"""


@asynccontextmanager
async def holding(admin: Pool, statement: str, *arguments: str) -> AsyncIterator[None]:
    """Another session's transaction, which is rolled back at the end."""
    async with admin.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(statement, *arguments)
        try:
            yield
        finally:
            await transaction.rollback()


def verify_age(owner_id: str) -> Command:
    request = UpdateWalletRequest(
        idempotency_key=str(uuid.uuid4()), owner_id=owner_id, age_verified=True
    )
    return update_command(ask(request, Call("test")), {}, today=date(2026, 11, 25))


async def many(admin: Pool, count: int) -> list[str]:
    names = [f"many-{uuid.uuid4().hex[:8]}" for _ in range(count)]
    await open_wallets(admin, names)
    return names


async def all_go_on(journal: Journal, others: list[str]) -> None:
    """Rounds of other commands are decided while the blocked command is not."""
    for _ in range(5):
        answers = await asyncio.gather(*(journal.record(adjust(other, 1)) for other in others))
        assert all(isinstance(answer, Outcome) for answer in answers)


async def until_balance(admin: Pool, owner_id: str, wanted: int) -> None:
    async with asyncio.timeout(5):
        while True:
            if await balance(admin, owner_id) >= wanted:
                return
            await asyncio.sleep(0.01)


async def until_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(5):
        while True:
            if caplog.messages:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["account", "owner", "key"])
async def test_a_locked_row_delays_only_the_commands_that_need_it(
    journal: Journal, admin: Pool, owners: list[str], what: str
) -> None:
    others = await many(admin, 40)
    command = verify_age(owners[0]) if what == "owner" else adjust(owners[0], 1)
    statement, argument = {
        "account": (HOLD_ACCOUNT, owners[0]),
        "owner": (HOLD_OWNER, owners[0]),
        "key": (USE_KEY, command.id),
    }[what]
    async with holding(admin, statement, argument):
        held = asyncio.create_task(journal.record(command))
        await all_go_on(journal, others)
        assert not held.done()
    assert isinstance(await held, Outcome)
    assert [await balance(admin, other) for other in others] == [5] * 40


async def test_a_batch_goes_on_without_its_blocked_command(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    held_owner, other, _ = owners
    async with holding(admin, HOLD_ACCOUNT, held_owner):
        batch = [adjust(each, 1) for each in (other, held_owner, other, held_owner, other)]
        answers = asyncio.create_task(journal.record_all(batch))
        await until_balance(admin, other, 3)
        assert not answers.done()
    assert all(isinstance(answer, Outcome) for answer in await answers)
    assert await balance(admin, held_owner) == 2


async def test_locked_stripes_are_exchanged(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    await journal.record(adjust(owners[0], 1))
    async with holding(admin, HOLD_STRIPES):
        await all_go_on(journal, owners)
    assert [await balance(admin, owner) for owner in owners] == [6, 5, 5]


async def test_a_row_locked_for_too_long_is_refused_and_nothing_is_decided(
    journal: Journal, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_lane, "LOCK_WAIT_MAX_S", 0.5)
    command = adjust(owners[0], 1)
    async with holding(admin, HOLD_ACCOUNT, owners[0]):
        with pytest.raises(AccountBusyError) as busy:
            await journal.record(command)
        await journal.record(adjust(owners[1], 1))
    assert busy.value.owner_id == owners[0]
    again = await journal.record(command)
    assert isinstance(again, Outcome)
    assert not again.replayed
    assert await balance(admin, owners[0]) == 1


async def test_the_log_names_the_row_and_the_session_that_locks_it(
    journal: Journal, admin: Pool, owners: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with admin.acquire() as other, other.transaction():
        await other.execute(HOLD_ACCOUNT, owners[0])
        held = asyncio.create_task(journal.record(adjust(owners[0], 1)))
        await until_logged(caplog)
        pid = other.get_server_pid()
    await held
    (message,) = caplog.messages
    assert f"process {pid} " in message
    assert f"{owners[0]}/COIN" in message


async def test_more_locked_accounts_than_the_lane_takes(
    journal: Journal, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_lane, "PARKED_MAX", 3)
    async with holding(admin, HOLD_ACCOUNT, owners[0]):
        waiting = [asyncio.create_task(journal.record(adjust(owners[0], 1))) for _ in range(5)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await all_go_on(journal, owners[1:])
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(answer, Outcome) for answer in answers) == 3
    assert await balance(admin, owners[0]) == 3


async def test_a_command_is_posted_in_time_or_never(
    database: str, admin: Pool, owners: list[str]
) -> None:
    command = adjust(owners[0], 1)
    async with running_journal(database, limits=replace(PATIENT, post_within_s=0.5)) as journal:
        async with holding(admin, HOLD_ACCOUNT, owners[0]):
            with pytest.raises(AccountBusyError):
                await journal.record(command)
        await all_go_on(journal, owners)
        assert await balance(admin, owners[0]) == 5
        assert isinstance(await journal.record(command), Outcome)
    assert await balance(admin, owners[0]) == 6


async def test_a_write_that_reaches_postgres_too_late_is_refused_there(
    database: str, admin: Pool, owners: list[str]
) -> None:
    command = adjust(owners[0], 1)
    async with running_journal(database, limits=replace(PATIENT, post_within_s=1)) as journal:
        async with frozen(journal, admin, owners[1]):
            late = asyncio.create_task(journal.record(command))
            await asyncio.sleep(1.2)  # the limit itself is what passes
        with pytest.raises(DatabaseUnavailableError):
            await late
        await all_go_on(journal, owners[1:])
    assert await balance(admin, owners[0]) == 0


async def test_blocked_commands_are_finished_when_the_journal_stops(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as journal:
        async with holding(admin, HOLD_ACCOUNT, owners[0]):
            held = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await all_go_on(journal, owners[1:])
            journal.drain()
        assert isinstance(await held, Outcome)
    assert await balance(admin, owners[0]) == 1


async def test_a_locked_table_blocks_all_commands_and_is_survived(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    """What no command is at fault for ends in bounded time, and nothing is decided twice."""
    async with holding(admin, "LOCK TABLE transactions IN SHARE MODE"):
        begun = monotonic()
        commands = [adjust(owner, 1) for owner in owners for _ in range(20)]
        first = asyncio.gather(*map(journal.record, commands), return_exceptions=True)
        await asyncio.wait([first], timeout=3)
    answers = await first
    assert monotonic() - begun < side_lane.LOCK_WAIT_MAX_S + 5
    assert all(isinstance(a, (Outcome, DatabaseUnavailableError)) for a in answers), answers
    again = await asyncio.gather(*map(journal.record, commands))
    assert all(isinstance(answer, Outcome) for answer in again)
    assert [await balance(admin, owner) for owner in owners] == [20] * 3


async def test_other_locks_do_not_stop_the_lane(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    """A blocked command's other account, its sender's, is locked and unlocked repeatedly."""
    anna, ben, cleo = owners
    await journal.record_all([adjust(anna, 1), adjust(cleo, 1)])
    both = adjust(anna, 1)
    both.accounts = [(anna, UNIT_COIN), (ben, UNIT_COIN)]
    async with holding(admin, HOLD_ACCOUNT, ben):
        held = asyncio.create_task(journal.record(both))
        await all_go_on(journal, [cleo])
        async with holding(admin, HOLD_ACCOUNT, anna):
            await all_go_on(journal, [cleo])
        assert not held.done()
    assert isinstance(await held, Outcome)
    async with holding(admin, HOLD_ACCOUNT, ben):
        again = asyncio.create_task(journal.record(adjust(ben, 1)))
        await all_go_on(journal, [cleo])
    assert isinstance(await again, Outcome)


async def test_a_command_with_two_locked_accounts_waits_for_both(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    anna, ben, cleo = owners
    both = adjust(anna, 1)
    both.accounts = [(anna, UNIT_COIN), (ben, UNIT_COIN)]
    async with holding(admin, HOLD_ACCOUNT, ben):
        async with holding(admin, HOLD_ACCOUNT, anna):
            held = asyncio.create_task(journal.record(both))
            await all_go_on(journal, [cleo])
        await all_go_on(journal, [cleo])
        assert not held.done()
    assert isinstance(await held, Outcome)
    assert await balance(admin, anna) == 1
