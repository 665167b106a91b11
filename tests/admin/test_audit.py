"""The audit: sound books are clean, and whatever row is changed or missing is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from giftpay.client import connect
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    GetTrialBalanceRequest,
    OpenWalletRequest,
    SystemAccount,
    TrialBalance,
    VerifyLedgerRequest,
    VerifyLedgerResponse,
)
from giftpay_server.admin import audit
from giftpay_server.admin.audit import BEGINNING, trial_balance, verify
from giftpay_server.admin.checks import AHEAD_CHECKS
from giftpay_server.admin.checks.money import MONEY_ACCOUNTS
from giftpay_server.app import serving
from giftpay_server.config import Config
from giftpay_server.journal.check import Check
from giftpay_server.postgres.pool import create_pool
from giftpay_server.slices import REGISTRY

from tests.admin.corruptible import CHECKS, TABLES, Books, Corruption, corruptible_books
from tests.admin.evening import GIFT
from tests.admin.ledger_corruptions import ACCOUNTS, AHEAD, ENTRIES, LOTS
from tests.admin.slice_corruptions import ORDERS, PERSONS, ROWS, TIMELESS

LEDGER_DOCUMENT = Path(__file__).parents[2] / "docs" / "ledger.md"


@pytest.fixture(scope="module")
async def books(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Books]:
    async with corruptible_books(await new_database()) as books:
        yield books


def named(verified: VerifyLedgerResponse) -> tuple[str, str]:
    assert not verified.clean
    return verified.broken.check, f"{verified.broken.table} {verified.broken.key}"


async def is_clean(books: Books) -> bool:
    return (await books.verify(None)).clean


async def test_sound_books_are_clean(books: Books) -> None:
    verified = await books.client.admin.VerifyLedger(VerifyLedgerRequest())
    assert verified.clean
    assert not verified.HasField("broken")
    counts = "SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM transactions)"
    found = await books.owner.fetchrow(counts)
    assert tuple(found or ()) == (verified.entries, verified.transactions)


@pytest.mark.parametrize(
    "corruption",
    [*ENTRIES, *ACCOUNTS, *LOTS, *ROWS, *ORDERS, *PERSONS, *AHEAD],
    ids=lambda each: each.check,
)
async def test_a_broken_row_is_named(books: Books, corruption: Corruption) -> None:
    async with books.corrupted(corruption.sql):
        for since in (None, BEGINNING):
            verified = await books.verify(since)
            assert named(verified) == (corruption.check, corruption.row)
            assert verified.broken.detail.startswith("expected ")
            assert not verified.HasField("watermark")
    assert await is_clean(books)


def test_every_check_has_a_corruption_that_it_finds_and_is_documented() -> None:
    names = {name for check in (*CHECKS, *AHEAD_CHECKS) for name in check.names}
    seen = {
        each.check
        for each in (*ENTRIES, *ACCOUNTS, *LOTS, *ROWS, *ORDERS, *PERSONS, *AHEAD, *TIMELESS)
    }
    assert len(names) > 30
    assert names == seen
    document = LEDGER_DOCUMENT.read_text()
    assert [name for name in sorted(seen) if f"`{name}`" not in document] == []


def test_the_subject_of_each_movement_of_real_money_is_checked() -> None:
    moving = {
        kind
        for kind, moved in REGISTRY.movements.items()
        if any(system in MONEY_ACCOUNTS for _, system, _ in moved)
    }
    subjects = [
        check.sql
        for check in CHECKS
        if isinstance(check, Check) and check.name == "money_movement.subject"
    ]
    assert len(moving) == len(subjects) >= 2
    assert all(any(f"t.kind = {kind}\n" in sql for sql in subjects) for kind in moving)


@pytest.mark.parametrize("corruption", TIMELESS, ids=lambda each: each.check)
async def test_a_broken_row_without_a_time_is_named_by_a_whole_check(
    books: Books, corruption: Corruption
) -> None:
    async with books.corrupted(corruption.sql):
        assert named(await books.verify(None)) == (corruption.check, corruption.row)
    assert await is_clean(books)


# A change of these alone contradicts nothing else in the books.
FREE = {
    "account.entry_time",
    "account.version",
    "catalog.etag",
    "erasure.create_time",
    "hold.end_time",
    "owner.adult_from",
    "owner.country",
    "owner.create_time",
    "owner.status",
    "personal_data.owner_id",
    "personal_data.salt",
    "personal_data.transaction_id",
    "personal_data.value",
    "redemption.calls",
    "redemption.next_time",
    "redemption.return_reason",
    "redemption.submit_time",
    "redemption.update_time",
    "top_up.paid_after_cancel",
    "transactions.caller",
}

# Of all rows at once, such that keys stay apart.
CHANGES = {
    "bool": "NOT {0}",
    "bytea": r"{0} || '\xff'",
    "date": "{0} + 1",
    "int2": "{0} + 2",
    "int4": "{0} + 100",
    "int8": "{0} + 100",
    "text": "{0} || 'x'",
    "timestamptz": "{0} + interval '1 s'",
    "uuid": "translate({0}::text, '0123456789abcdef', '123456789abcdef0')::uuid",
}


async def test_no_column_of_the_books_changes_unseen(books: Books) -> None:
    columns = await books.owner.fetch(
        "SELECT table_name, column_name, udt_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = ANY($1)",
        TABLES,
    )
    unseen = set()
    for table, column, kind in columns:
        change = CHANGES[kind].format(column)
        async with books.corrupted(f"UPDATE {table} SET {column} = {change}"):
            if await is_clean(books):
                unseen.add(f"{table}.{column}")
    assert unseen == FREE


async def test_the_first_row_by_its_key_is_the_one_that_is_named(books: Books) -> None:
    async with books.corrupted("DELETE FROM lot WHERE seq IN (2, 5, 7)"):
        assert named(await books.verify(None)) == ("entry.lot", "entry anna/COIN/2")


async def test_a_balance_that_no_batch_touched_is_missed_by_the_sum(books: Books) -> None:
    change = "UPDATE account SET balance = balance + 5 WHERE owner_id = 'anna' AND unit = 1"
    async with books.corrupted(change):
        verified = await books.verify(await time_of("ben", 5, books))
    assert named(verified) == ("account.total", "account COIN")
    assert verified.broken.detail == "expected 0 over all accounts, found 5"


async def test_a_check_since_a_time_reads_what_was_written_since(books: Books) -> None:
    since = await time_of("anna", 8, books)
    verified = await books.verify(since)
    assert verified.clean
    assert verified.entries == 5  # this one, and what happened to Ben's diamonds after it
    async with books.corrupted(f"UPDATE transactions SET answer = '' WHERE id = '{GIFT}'"):
        assert (await books.verify(since)).clean
        assert not await is_clean(books)


async def test_a_check_since_a_time_compares_with_older_rows(books: Books) -> None:
    since = await time_of("anna", 8, books)
    async with books.corrupted("UPDATE entry SET balance = 0 WHERE owner_id = 'anna' AND seq = 7"):
        assert named(await books.verify(since)) == ("entry.balance", "entry anna/COIN/8")
    async with books.corrupted("DELETE FROM entry WHERE owner_id = 'anna' AND seq = 7"):
        assert named(await books.verify(since)) == ("entry.seq", "entry anna/COIN/7")
    async with books.corrupted("UPDATE lot SET size = 69 WHERE seq = 2"):
        assert named(await books.verify(since)) == ("lot.entry", "lot anna/COIN/2")


async def time_of(owner_id: str, seq: int, books: Books) -> datetime:
    sql = "SELECT create_time FROM entry WHERE owner_id = $1 AND seq = $2"
    found: datetime = await books.owner.fetchval(sql, owner_id, seq)
    return found


async def test_the_watermark_lies_before_transactions_in_flight(books: Books) -> None:
    forged = """
        INSERT INTO entry SELECT 9, 1, 1, now(), transaction_id, unit, system_account, owner_id
          FROM entry WHERE owner_id = 'anna' AND seq = 8
    """
    async with books.corrupted("SELECT"):
        async with books.owner.transaction():
            await books.owner.execute(forged)
            verified = await books.verify(None)
            assert verified.clean
        since = verified.watermark.ToDatetime(UTC)
        assert named(await books.verify(since)) == ("entry.transaction", "entry anna/COIN/9")


async def test_the_watermark_lies_before_a_commit_however_long_it_takes(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SETTLING", timedelta())
    async with books.owner.transaction():
        await books.owner.execute("UPDATE account SET held = held")
        begun = await books.owner.fetchval("SELECT now()")
        verified = await books.verify(None)
    assert verified.clean
    assert verified.watermark.ToDatetime(UTC) <= begun


async def test_an_entry_may_be_later_than_its_transaction(books: Books) -> None:
    later = """
        UPDATE entry SET create_time = create_time + interval '1 s'
         WHERE owner_id = 'anna' AND unit = 1 AND seq = 8;
        UPDATE account SET entry_time = entry_time + interval '1 s' WHERE owner_id = 'anna'
    """
    decided = await time_of("anna", 8, books)
    async with books.corrupted(later):
        for since in (None, decided, await time_of("anna", 8, books)):
            assert (await books.verify(since)).clean
        async with books.corrupted("DELETE FROM lot WHERE owner_id = 'anna' AND seq = 8"):
            since = await time_of("anna", 8, books)
            assert named(await books.verify(since)) == ("entry.lot", "entry anna/COIN/8")


async def test_times_are_ahead_by_the_clock_that_decides(books: Books) -> None:
    behind = await verify(
        books.pool, None, CHECKS, clock=lambda: datetime.now(UTC), skew_max=timedelta(5)
    )
    assert behind.clean
    behind = await verify(books.pool, None, CHECKS, clock=lambda: datetime.now(UTC))
    assert named(behind)[0] == "transaction.ahead"


@pytest.mark.parametrize("apart", [timedelta(days=400), timedelta(days=-400)])
async def test_the_watermark_keeps_to_whichever_clock_is_behind(
    new_database: Callable[[], Awaitable[str]], apart: timedelta
) -> None:
    dsn, now = await new_database(), datetime.now(UTC)
    config = Config(database_url=dsn, listen="127.0.0.1:0")
    async with (
        serving(config, clock=lambda: now + apart) as server,
        connect(server.address) as client,
    ):
        await client.wallets.OpenWallet(OpenWalletRequest(owner_id="dora", country_code="DE"))
        await client.admin.AdjustBalance(
            AdjustBalanceRequest(owner_id="dora", unit=UNIT_COIN, amount=1, reason="test")
        )
        verified = await client.admin.VerifyLedger(VerifyLedgerRequest())
    assert verified.clean
    watermark = verified.watermark.ToDatetime(UTC)
    assert watermark < min(now, now + apart)
    assert watermark > min(now, now + apart) - timedelta(hours=1)


async def test_empty_books_are_clean(new_database: Callable[[], Awaitable[str]]) -> None:
    async with create_pool(await new_database(), size=1) as pool:
        verified, balance = await verify(pool, None, CHECKS), await trial_balance(pool)
    assert verified.clean
    assert (verified.entries, verified.transactions) == (0, 0)
    assert [(each.unit, each.total) for each in balance.balances] == [
        (UNIT_COIN, 0),
        (UNIT_DIAMOND, 0),
    ]


async def test_the_trial_balance_shows_both_sides_of_every_movement(books: Books) -> None:
    answer = await books.client.admin.GetTrialBalance(GetTrialBalanceRequest())
    coins, diamonds = answer.balances
    assert (coins.unit, coins.owners, coins.total) == (UNIT_COIN, 770, 0)
    assert systems(coins) == {
        "ISSUANCE": -700,
        "PROMOTION": -70,
        "GIFT_SALES": 10,
        "ADJUSTMENT": -10,
    }
    assert (diamonds.unit, diamonds.owners, diamonds.total) == (UNIT_DIAMOND, 870, 0)
    assert systems(diamonds) == {
        "CREATOR_EARNINGS": -10,
        "PAYOUTS": 100,
        "PLATFORM_LOSS": -40,
        "ADJUSTMENT": -920,
    }


async def test_the_trial_balance_shows_what_is_missing(books: Books) -> None:
    async with books.corrupted("UPDATE account SET balance = 0 WHERE owner_id = 'anna'"):
        answer = await books.client.admin.GetTrialBalance(GetTrialBalanceRequest())
    assert [balance.total for balance in answer.balances] == [-767, 0]


def systems(balance: TrialBalance) -> dict[str, int]:
    return {
        SystemAccount.Name(each.system_account).removeprefix("SYSTEM_ACCOUNT_"): each.balance
        for each in balance.system_accounts
    }
