"""A journal's cache is only a guess, which the write in Postgres verifies."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg
import pytest
from giftpay.v1 import (
    ERROR_REASON_GIFT_OFF_SALE,
    ERROR_REASON_WALLET_FROZEN,
    WALLET_STATUS_FROZEN,
    ApplyCatalogRequest,
    Catalog,
    UpdateWalletRequest,
)
from giftpay_server.catalog.messages import apply_command
from giftpay_server.journal import committer
from giftpay_server.journal.failures import CommandFailedError
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.sessions import Sessions
from giftpay_server.ledger.model import Command, Outcome
from giftpay_server.postgres.pool import Pool
from giftpay_server.wallet.messages import update_command
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call

from tests.catalog import examples
from tests.journal.journals import PATIENT, adjust, balance, frozen, open_wallets, running_journal
from tests.journal.test_faults import END_JOURNALS
from tests.ledger import histories

BATCH = 5

COMMITS = """
    SELECT count(DISTINCT xmin::text) FROM transactions WHERE id = ANY($1::uuid[])
"""


def gift(sender: str, recipient: str) -> Command:
    return histories.gift(str(uuid.uuid4()), sender, recipient, gift_id="rose", count=1)


async def apply(journal: Journal, catalog: Catalog) -> None:
    request = ApplyCatalogRequest(idempotency_key=str(uuid.uuid4()), catalog=catalog)
    assert posted(await journal.record(apply_command(ask(request, Call("test")))))


def catalog(*, off_sale: bool) -> Catalog:
    made = examples.example()
    del made.gifts[:]
    made.gifts.append(examples.gift("rose", 1))
    made.gifts[0].off_sale = off_sale
    return made


def posted(answer: Any) -> bool:
    return isinstance(answer, Outcome) and not answer.transaction.reason


async def test_a_movement_by_another_journal_is_detected(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as one, running_journal(database) as two:
        for journal in (one, two, one, two, one):
            assert posted(await journal.record(adjust(owners[0], 1)))
    assert await balance(admin, owners[0]) == 5


async def test_what_another_journal_froze_is_frozen(database: str, owners: list[str]) -> None:
    anna, ben, _ = owners
    freeze = UpdateWalletRequest(
        idempotency_key=str(uuid.uuid4()), owner_id=ben, status=WALLET_STATUS_FROZEN
    )
    async with running_journal(database) as one, running_journal(database) as two:
        await apply(one, catalog(off_sale=False))
        await one.record(adjust(anna, 10))
        assert posted(await one.record(gift(anna, ben)))
        assert posted(
            await two.record(
                update_command(ask(freeze, Call("test")), {}, today=date(2026, 11, 22))
            )
        )
        refused = await one.record(gift(anna, ben))
    assert isinstance(refused, Outcome)
    assert refused.transaction.reason == ERROR_REASON_WALLET_FROZEN


async def test_what_another_journal_took_off_sale_is_not_sold(
    database: str, owners: list[str]
) -> None:
    anna, ben, _ = owners
    async with running_journal(database) as one, running_journal(database) as two:
        await apply(two, catalog(off_sale=False))
        await one.record(adjust(anna, 10))
        assert posted(await one.record(gift(anna, ben)))
        await apply(two, catalog(off_sale=True))
        refused = await one.record(gift(anna, ben))
    assert isinstance(refused, Outcome)
    assert refused.transaction.reason == ERROR_REASON_GIFT_OFF_SALE


GO_BACK = "DELETE FROM catalog"


async def test_a_catalog_does_not_outlive_its_database(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    """As after a restore beside a living server: a version comes again, with other contents."""
    database, (anna, ben) = await new_database(), ("anna", "ben")
    async with (
        asyncpg.create_pool(database, min_size=1, max_size=1) as admin,
        running_journal(database) as one,
        running_journal(database) as two,
    ):
        await open_wallets(admin, [anna, ben])
        await apply(one, catalog(off_sale=False))
        await one.record(adjust(anna, 10))
        assert posted(await one.record(gift(anna, ben)))
        await admin.execute(GO_BACK)
        await apply(two, catalog(off_sale=True))
        refused = await one.record(gift(anna, ben))
    assert isinstance(refused, Outcome)
    assert refused.transaction.reason == ERROR_REASON_GIFT_OFF_SALE
    assert refused.transaction.catalog_version == 1


@pytest.mark.parametrize("others", [1, 2 * committer.KEY_LOOKUP_MIN])
async def test_an_old_key_is_a_replay_also_if_all_accounts_are_cached(
    journal: Journal, admin: Pool, owners: list[str], others: int
) -> None:
    old = adjust(owners[0], 1)
    first = await journal.record(old)
    assert isinstance(first, Outcome)
    await journal.record(adjust(owners[0], 1))
    again = await journal.record_all([*(adjust(owners[0], 1) for _ in range(others)), old])
    assert all(posted(answer) for answer in again)
    assert again[-1] == Outcome(first.transaction, replayed=True)
    assert await balance(admin, owners[0]) == 2 + others


async def test_full_batches_follow_each_other_at_once(
    database: str, admin: Pool, owners: list[str]
) -> None:
    commands = [adjust(owner, 1) for _ in range(10 * BATCH) for owner in owners]
    async with running_journal(database, limits=replace(PATIENT, batch_max=BATCH)) as journal:
        answers = await asyncio.gather(
            *(journal.record_all(commands[at : at + 7]) for at in range(0, len(commands), 7))
        )
    assert all(posted(answer) for group in answers for answer in group)
    assert [await balance(admin, owner) for owner in owners] == [10 * BATCH] * 3
    ids = [command.id for command in commands]
    assert await admin.fetchval(COMMITS, ids) == len(commands) // BATCH


async def test_a_batch_that_fails_does_not_fail_the_next_one(
    database: str, admin: Pool, owners: list[str]
) -> None:
    bad = adjust(owners[1], 1)
    bad.caller = "\0"  # Postgres refuses it, when the next batch is decided already
    batch = [adjust(owners[0], 1) for _ in range(BATCH - 1)]
    following = [adjust(owners[0], 1) for _ in range(BATCH)]
    async with running_journal(database, limits=replace(PATIENT, batch_max=BATCH)) as journal:
        await journal.record(adjust(owners[0], 1))
        first, second = await asyncio.gather(
            journal.record_all([*batch, bad]), journal.record_all(following)
        )
    assert isinstance(first[-1], CommandFailedError)
    assert all(posted(answer) for answer in (*first[:-1], *second))
    assert await balance(admin, owners[0]) == 2 * BATCH


async def test_what_was_decided_on_a_batch_that_wrote_nothing_is_decided_again(
    database: str, admin: Pool, owners: list[str]
) -> None:
    bad = adjust(owners[0], 1)
    bad.caller = "\0"
    async with running_journal(database, limits=replace(PATIENT, batch_max=1)) as journal:
        await journal.record(adjust(owners[0], 1))
        answers = await journal.record_all([bad, adjust(owners[0], 1)])
    assert [posted(answer) for answer in answers] == [False, True]
    assert await balance(admin, owners[0]) == 2


async def test_nothing_that_was_decided_and_not_written_is_cached(
    database: str, admin: Pool, owners: list[str]
) -> None:
    """Poison after poison: what the second was decided on fell with the first, and it falls too."""
    async with running_journal(database, limits=replace(PATIENT, batch_max=1)) as journal:
        await journal.record_all([adjust(owner, 5) for owner in owners])
        for amount in (100, 1_000):
            poison = [adjust(owner, amount) for owner in owners for _ in range(3)]
            for command in poison:
                command.caller = "\0"
            failed = await journal.record_all(poison)
            assert all(isinstance(answer, CommandFailedError) for answer in failed)
            assert all(map(posted, await journal.record_all([adjust(o, 1) for o in owners])))
    assert [await balance(admin, owner) for owner in owners] == [7] * 3


async def test_what_fails_behind_a_batch_that_is_decided_anew_leaves_nothing(
    database: str, admin: Pool, owners: list[str]
) -> None:
    anna, ben, _ = owners
    used = adjust(anna, 1)
    async with running_journal(database, limits=replace(PATIENT, batch_max=1)) as journal:
        await journal.record_all([used, adjust(ben, 5)])
        async with frozen(journal, admin, anna):
            again = asyncio.create_task(journal.record(used))  # fails on its key, then locks
            poison = adjust(ben, 100)
            poison.caller = "\0"
            await asyncio.sleep(0.2)
            failing = asyncio.create_task(journal.record(poison))
            await asyncio.sleep(0.2)
        assert posted(await again)
        with pytest.raises(CommandFailedError):
            await failing
        assert posted(await journal.record(adjust(ben, 1)))
    assert await balance(admin, ben) == 6


async def test_without_a_reader_every_command_is_answered(
    database: str, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_more(_: Sessions) -> None:
        raise asyncpg.TooManyConnectionsError("sorry, too many clients already")

    monkeypatch.setattr(Sessions, "reader", no_more)
    async with running_journal(database, limits=replace(PATIENT, batch_max=1)) as journal:
        answers = await journal.record_all([adjust(owner, 1) for owner in owners * 3])
    assert all(posted(answer) for answer in answers)
    assert [await balance(admin, owner) for owner in owners] == [3] * 3


async def test_a_batch_is_decided_ahead_of_one_that_waits(
    database: str, admin: Pool, owners: list[str]
) -> None:
    """And goes on with what that one leaves, though nobody has read it from Postgres."""
    async with running_journal(database, limits=replace(PATIENT, batch_max=1)) as journal:
        async with frozen(journal, admin, owners[0]):
            both = [asyncio.create_task(journal.record(adjust(owners[0], 1))) for _ in range(2)]
            await asyncio.sleep(0.2)
        assert all(posted(answer) for answer in await asyncio.gather(*both))
    assert await balance(admin, owners[0]) == 3


async def test_a_session_that_ended_between_batches_is_replaced(
    journal: Journal, admin: Pool, owners: list[str]
) -> None:
    await journal.record(adjust(owners[0], 1))
    await admin.execute(END_JOURNALS)
    await asyncio.sleep(0.2)
    assert posted(await journal.record(adjust(owners[0], 1)))
    assert await balance(admin, owners[0]) == 2


async def test_more_accounts_than_are_cached(
    database: str, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "ACCOUNTS_MAX", 1)
    async with running_journal(database, limits=replace(PATIENT, batch_max=BATCH)) as journal:
        commands = [adjust(owner, 1) for _ in range(10) for owner in owners]
        answers = await asyncio.gather(*map(journal.record, commands))
    assert all(posted(answer) for answer in answers)
    assert [await balance(admin, owner) for owner in owners] == [10] * 3
