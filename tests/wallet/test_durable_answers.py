"""GetTransaction waits for the synchronous standby, as a commit does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import giftpay
import pytest
from giftpay.client import Client, connect
from giftpay.v1 import (
    GetTransactionRequest,
    GetWalletRequest,
    OpenWalletRequest,
)
from giftpay_server.app import serving
from giftpay_server.config import Config
from giftpay_server.postgres.migrations import migrate
from giftpay_server.postgres.pool import as_durable_as_a_commit, connector

from tests.stories.processes import Database, own_database

PATIENCE_S = 30.0
STANDBYS = "ALTER SYSTEM SET synchronous_standby_names = 'away'"
NO_STANDBYS = "ALTER SYSTEM RESET synchronous_standby_names"


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    """On a Postgres of its own: standbys are set for the whole of it."""
    async with own_database() as database:
        await migrate(database.dsn)
        yield database


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(database.dsn)
    yield connection
    await connection.close()


@asynccontextmanager
async def standby_away(owner: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """Commits wait for a standby that never connects."""
    await owner.execute(STANDBYS)
    await owner.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await owner.execute(NO_STANDBYS)
        await owner.execute("SELECT pg_reload_conf()")


async def test_a_transaction_is_not_returned_while_the_standby_is_down(
    database: Database, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    config = Config(database_url=database.dsn, listen="127.0.0.1:0", pool_size=4)
    key = giftpay.new_key()
    async with serving(config) as server, connect(server.address) as client:
        opening = OpenWalletRequest(idempotency_key=key, owner_id="anna", country_code="DE")
        await client.wallets.OpenWallet(opening)
        async with standby_away(owner):
            assert await until_unanswered(client, key) == "DEADLINE_EXCEEDED"
            asking = [asyncio.create_task(read_id(client, key, timeout_s=10)) for _ in range(8)]
            for _ in range(20):  # waiting calls do not use up the pool
                await client.wallets.GetWallet(GetWalletRequest(owner_id="anna"))
            assert not any(each.done() for each in asking)
        assert set(await asyncio.gather(*asking)) == {key}


async def read_id(client: Client, key: str, *, timeout_s: float) -> str:
    """The id of the transaction, from GetTransaction."""
    asked = GetTransactionRequest(idempotency_key=key)
    answer = await client.wallets.GetTransaction(asked, timeout=timeout_s)
    return answer.transaction.transaction_id


async def until_unanswered(client: Client, key: str) -> str:
    """The status that a call then ends with; each of Postgres' processes takes its own time."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await read_id(client, key, timeout_s=0.5)
            except giftpay.Unavailable as unanswered:
                return unanswered.code.name if unanswered.code else ""


async def test_without_a_standby_nothing_is_written(database: Database) -> None:
    session = await connector(database.dsn)()
    async with session.transaction():
        await as_durable_as_a_commit(session)
        assert await session.fetchval("SELECT pg_current_xact_id_if_assigned()") is None
    await session.close()
