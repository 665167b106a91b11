"""Interleavings of lanes, batches and callers that once went wrong."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from giftpay.v1 import (
    ERROR_REASON_REDEMPTION_STATE,
    ERROR_REASON_WALLET_NOT_FOUND,
    TRANSACTION_KIND_ADJUSTMENT,
    AdjustBalanceRequest,
    OpenWalletRequest,
)
from giftpay_server.journal import sessions, side_lane
from giftpay_server.journal.failures import AccountBusyError, DatabaseUnavailableError
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.queue import CommandQueue, ShuttingDownError
from giftpay_server.journal.sessions import Sessions
from giftpay_server.ledger.model import Command, KeyReused, Outcome, refuse, wallet
from giftpay_server.postgres.clock import ClockSkewError
from giftpay_server.postgres.pool import Pool
from giftpay_server.wallet.messages import open_command
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call

from tests.journal.journals import PATIENT, adjust, balance, running_journal
from tests.journal.test_head_of_line import (
    HOLD_ACCOUNT,
    USE_KEY,
    all_go_on,
    holding,
    many,
    verify_age,
)
from tests.journal.test_known_rows import CREATE, MOST, TABLES, give, posted

FORGED_ENTRY = """
    INSERT INTO entry (owner_id, unit, seq, transaction_id, system_account, amount, balance,
                       create_time)
    VALUES ($1, 1, 2, gen_random_uuid(), 8, 1, 6, now())
"""


def without_accounts(key: str = "") -> Command:
    """As a command on an order that does not exist."""
    return Command(
        id=key or str(uuid.uuid4()),
        caller="test",
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=AdjustBalanceRequest(),
        accounts=(),
        decide=lambda _: refuse(ERROR_REASON_REDEMPTION_STATE),
    )


async def test_a_companion_is_never_older_than_its_accounts(
    database: str, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch under locks, a guess that fails meanwhile, and another server in between."""
    anna, ben, cleo = owners
    await admin.execute(CREATE)

    async def too_many(_: Sessions) -> None:
        raise asyncpg.TooManyConnectionsError("sorry, too many clients already")

    async with (
        running_journal(database, limits=replace(PATIENT, batch_max=2), tables=TABLES) as one,
        running_journal(database, tables=TABLES) as two,
    ):
        await one.record(adjust(ben, 1))
        with monkeypatch.context() as patched:
            patched.setattr(Sessions, "reader", too_many)
            commands = [give(anna, 10), adjust(ben, 1), adjust(cleo, 1), adjust(cleo, 1)]
            assert all(map(posted, await asyncio.gather(*map(one.record, commands))))
        assert posted(await two.record(give(anna, MOST - 10)))
        assert not posted(await one.record(give(anna, 1)))
    assert await balance(admin, anna) == MOST


async def test_two_callers_of_one_key_are_both_answered(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    anna, ben, _ = owners
    key = str(uuid.uuid4())
    async with holding(admin, HOLD_ACCOUNT, anna):
        calls = [
            asyncio.create_task(journal.record(adjust(owner, 1, key=key)))
            for owner in (anna, ben, anna)
        ]
        await all_go_on(journal, owners[2:])
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*calls)
    assert {type(answer) for answer in answers} == {Outcome, KeyReused}
    assert await balance(admin, anna) + await balance(admin, ben) == 1


async def test_a_wallet_whose_opening_was_not_written_is_not_open(
    journal: Journal, admin: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_lane, "LOCK_WAIT_MAX_S", 0.3)
    bob = f"bob-{uuid.uuid4().hex[:8]}"
    await admin.execute("INSERT INTO account (owner_id, unit) VALUES ($1, 1), ($1, 2)", bob)
    opening = OpenWalletRequest(idempotency_key=str(uuid.uuid4()), owner_id=bob, country_code="DE")
    async with holding(admin, HOLD_ACCOUNT, bob):
        with pytest.raises(AccountBusyError):
            await journal.record(open_command(ask(opening, Call("test")), today=date(2026, 1, 1)))
    answer = await journal.record(adjust(bob, 7))
    assert isinstance(answer, Outcome)
    assert answer.transaction.reason == ERROR_REASON_WALLET_NOT_FOUND
    assert await balance(admin, bob) == 0


async def test_an_account_that_can_never_be_written_stops_no_other(
    database: str, admin: Pool, owners: list[str]
) -> None:
    """As after a partial restore: an entry beyond what its account says."""
    anna, ben, cleo = owners
    async with running_journal(database) as journal:
        await asyncio.gather(*(journal.record(adjust(owner, 5)) for owner in owners))
        await admin.execute(FORGED_ENTRY, anna)
        answers = await asyncio.gather(
            *(journal.record(adjust(owner, 1)) for owner in (ben, anna, cleo)),
            return_exceptions=True,
        )
        await admin.execute("DELETE FROM entry WHERE owner_id = $1 AND seq = 2", anna)
    assert [isinstance(answer, Outcome) for answer in answers] == [True, False, True]


async def test_a_look_under_a_wrong_clock_spoils_nothing(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as journal:
        await journal.record(adjust(owners[0], 5))
        with pytest.raises(ClockSkewError):
            await journal.close_time(wallet(owners[0]), datetime.now(UTC) + timedelta(hours=1))
        answer = await journal.record(adjust(owners[1], 5))
    assert isinstance(answer, Outcome)
    assert answer.transaction.create_time < datetime.now(UTC) + timedelta(seconds=5)


async def test_many_held_rows_of_other_tables_end_no_gift(
    journal: Journal, admin: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their owners' accounts are free, but for moments in which the side lane tries them."""
    monkeypatch.setattr(side_lane, "LOCK_WAIT_MAX_S", 60)
    names = await many(admin, 30)
    pattern = "SELECT 1 FROM owner WHERE owner_id LIKE 'many-%' FOR UPDATE"
    async with holding(admin, pattern):
        ages = [asyncio.create_task(journal.record(verify_age(name))) for name in names]
        await all_go_on(journal, names)
        assert not any(age.done() for age in ages)
    assert all(isinstance(answer, Outcome) for answer in await asyncio.gather(*ages))


async def test_a_command_without_accounts_waits_no_longer_than_others(
    journal: Journal, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_lane, "LOCK_WAIT_MAX_S", 0.5)
    command = without_accounts()
    async with holding(admin, USE_KEY, command.id):
        with pytest.raises(AccountBusyError):
            await journal.record(command)
        await all_go_on(journal, owners)


async def test_a_session_that_began_under_a_wrong_clock_of_postgres_spoils_nothing(
    database: str, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = "SELECT clock_timestamp() + interval '1 hour'"
    with monkeypatch.context() as patched:
        patched.setattr(sessions, "READ_CLOCK", ahead)
        async with running_journal(database) as journal:
            answer = await journal.record(adjust(owners[0], 1))
    assert isinstance(answer, Outcome)
    assert answer.transaction.create_time < datetime.now(UTC) + timedelta(seconds=10)


async def test_what_waits_for_a_journal_that_ends_is_answered(
    database: str, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: CommandQueue) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def ask() -> None:
        async with running_journal(database) as journal:
            with pytest.raises(DatabaseUnavailableError):
                await journal.record(adjust(owners[0], 1))
            with pytest.raises(ShuttingDownError):
                await journal.record(adjust(owners[0], 1))
            answered.append(True)

    answered: list[bool] = []
    monkeypatch.setattr(CommandQueue, "take", broken)
    with pytest.raises(ZeroDivisionError):
        await ask()
    assert answered == [True]
