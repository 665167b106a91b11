"""An unusable connection is closed by the first user; the next one works, nothing runs twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import giftpay
import pytest
from giftpay.client import Client, connect
from giftpay.v1 import UNIT_COIN, AdjustBalanceRequest, GetWalletRequest, OpenWalletRequest
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.postgres.faults import DATABASE_ERRORS
from giftpay_server.postgres.pool import Pool, connector, create_pool
from giftpay_server.postgres.session import is_unusable

READ_ONLY = """
    DO $$ BEGIN
        EXECUTE format(
            'ALTER DATABASE %I SET default_transaction_read_only = on', current_database()
        );
    END $$
"""
END_ALL = """
    SELECT count(pg_terminate_backend(pid))
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
PID = "SELECT pg_backend_pid()"
MODE = "SHOW default_transaction_read_only"


@pytest.fixture
async def database(new_database: Callable[[], Awaitable[str]]) -> str:
    return await new_database()


@pytest.fixture
async def owner(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A session of the schema's owner, which stays writable."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def server(database: str) -> AsyncIterator[Running]:
    async with serving(Config(database_url=database, listen="127.0.0.1:0")) as running:
        yield running


@pytest.fixture
async def caller(server: Running) -> AsyncIterator[Client]:
    async with connect(server.address) as client:
        yield client


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with create_pool(database, size=3) as pool:
        yield pool


async def open_wallet(client: Client, owner_id: str, *, timeout_s: float = 10) -> None:
    opening = OpenWalletRequest(owner_id=owner_id, country_code="DE")
    await client.wallets.OpenWallet(opening, timeout=timeout_s)


async def adjust(client: Client, owner_id: str) -> None:
    request = AdjustBalanceRequest(owner_id=owner_id, unit=UNIT_COIN, amount=1, reason="test")
    await client.admin.AdjustBalance(request)


async def read(client: Client, owner_id: str) -> None:
    await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))


async def look_back(client: Client, owner_id: str) -> None:
    request = GetWalletRequest(owner_id=owner_id)
    request.as_of_time.FromDatetime(datetime.now(UTC))
    await client.wallets.GetWallet(request)


async def each_session(pool: Pool, sql: str) -> list[object]:
    """What all sessions of a pool answer."""
    async with pool.acquire() as one, pool.acquire() as two, pool.acquire() as three:
        return [await session.fetchval(sql) for session in (one, two, three)]


async def test_writes_resume_after_the_database_was_read_only(
    server: Running, caller: Client, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await open_wallet(caller, "anna")
    await owner.execute(READ_ONLY)
    await owner.execute(END_ALL)
    await read(caller, "anna")
    with pytest.raises(giftpay.OutcomeUnknown):
        await open_wallet(caller, "ben", timeout_s=0.5)
    assert set(await each_session(server.parts.pool, MODE)) == {"on"}
    await owner.execute(READ_ONLY.replace("= on", "= off"))
    await open_wallet(caller, "ben")
    for work in (adjust, read, look_back):
        await work(caller, "ben")
    assert set(await each_session(server.parts.pool, MODE)) == {"off"}


async def test_ended_sessions_are_opened_again(
    caller: Client, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await open_wallet(caller, "anna")
    for _ in range(3):
        await asyncio.gather(*(read(caller, "anna") for _ in range(5)))
        await owner.execute(END_ALL)
        for work in (look_back, adjust, read, open_wallet):
            await work(caller, "anna")


async def test_a_statement_on_a_broken_session_is_not_repeated(
    pool: Pool, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await owner.execute("CREATE SEQUENCE runs; GRANT USAGE ON runs TO giftpay_server")
    with pytest.raises(asyncpg.AdminShutdownError):
        await pool.execute(
            "DO $$ BEGIN PERFORM nextval('runs'); RAISE EXCEPTION USING ERRCODE = '57P01'; END $$"
        )
    assert await owner.fetchval("SELECT nextval('runs')") == 2
    assert await pool.fetchval("SELECT 1") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57P01'; END $$",
        "SET transaction_read_only = on; CREATE TABLE news ()",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57P02'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '08006'; END $$",
    ],
)
async def test_a_broken_session_closes_those_of_the_pool_too(
    database: str, pool: Pool, statement: str
) -> None:
    before = await each_session(pool, PID)
    session = await connector(database, pool=pool)()
    with pytest.raises(asyncpg.PostgresError):
        async with session.transaction():
            await session.execute(statement)
    assert session.is_closed()
    assert not set(before) & set(await each_session(pool, PID))


async def test_a_session_that_does_not_answer_in_time_is_closed(pool: Pool) -> None:
    before = await each_session(pool, PID)
    async with pool.acquire() as session:
        with pytest.raises(TimeoutError):
            await session.fetchval("SELECT pg_sleep(60)", timeout=0.05)
    assert not set(before) & set(await each_session(pool, PID))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 / 0",
        "SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(60)",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$",
    ],
)
async def test_a_statement_that_fails_by_itself_leaves_its_session_usable(
    pool: Pool, statement: str
) -> None:
    async with pool.acquire() as session:
        before = await session.fetchval(PID)
        with pytest.raises(asyncpg.PostgresError):
            async with session.transaction():
                await session.execute(statement)
        assert await session.fetchval(PID) == before


async def test_a_cursor_releases_its_terminated_session(
    pool: Pool, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    async def read_on() -> None:
        async with pool.acquire() as session, session.transaction():
            rows = await session.cursor("SELECT generate_series(1, 9)")
            assert len(await rows.fetch(3)) == 3
            await owner.execute(END_ALL)
            await rows.fetch(3)

    with pytest.raises(DATABASE_ERRORS) as ended:
        await read_on()
    assert is_unusable(ended.value)
    assert await pool.fetchval("SELECT 1") == 1


async def test_a_value_that_cannot_be_sent_does_not_close_the_session(pool: Pool) -> None:
    async with pool.acquire() as session:
        with pytest.raises(asyncpg.DataError):
            await session.fetchval("SELECT $1::integer", "one")
        assert not session.is_closed()
