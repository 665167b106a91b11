"""Books in which everything has happened once, and in which any row can be corrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import aiohttp
import asyncpg
from giftpay.client import Client, connect
from giftpay.v1 import VerifyLedgerResponse
from giftpay_server.admin.audit import verify
from giftpay_server.admin.checks import all_checks
from giftpay_server.app import serving
from giftpay_server.config import Config
from giftpay_server.postgres.pool import Pool
from giftpay_server.sandbox.app import running_sandbox
from giftpay_server.slices import REGISTRY

from tests.admin.evening import Evening
from tests.conftest import MovableClock


class Corruption(NamedTuple):
    """A change to the books, the check that sees it, and the row that it names."""

    check: str
    row: str  # table and key
    sql: str


TABLES = (
    "account",
    "catalog",
    "claim",
    "entry",
    "erasure",
    "gift_context",
    "hold",
    "lot",
    "money_movement",
    "owner",
    "personal_data",
    "redemption",
    "top_up",
    "transactions",
    "withdrawal",
)

# Some corruptions are what the tables themselves refuse.
CHECKS = all_checks(REGISTRY)

DROP_CHECKS = """
    DO $$
    DECLARE found record;
    BEGIN
        FOR found IN SELECT conrelid::regclass AS name, conname
                       FROM pg_constraint
                      WHERE contype = 'c' AND connamespace = 'public'::regnamespace
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.name, found.conname);
        END LOOP;
    END
    $$
"""


@dataclass(frozen=True, slots=True)
class Books:
    """The books over the wire, by the server's own connections, and by the schema's owner."""

    client: Client
    pool: Pool
    owner: asyncpg.Connection[asyncpg.Record]
    clock: MovableClock

    async def verify(self, since: datetime | None) -> VerifyLedgerResponse:
        """What the audit says."""
        return await verify(self.pool, since, CHECKS, clock=self.clock)

    @asynccontextmanager
    async def corrupted(self, sql: str) -> AsyncIterator[None]:
        """The books after these statements, and as they were once it is over."""
        await self.owner.execute(sql)
        try:
            yield
        finally:
            for table in TABLES:
                restore = f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept.{table}"
                await self.owner.execute(restore)


@asynccontextmanager
async def corruptible_books(dsn: str) -> AsyncIterator[Books]:
    """Fills an empty database, and keeps a copy of every table."""
    clock = MovableClock()
    config = Config(
        database_url=dsn,
        listen="127.0.0.1:0",
        trusted_callers=frozenset({"local"}),
        erasure_poll_s=3_600,  # the erasure is still under way
    )
    async with serving(config, clock=clock) as server, connect(server.address) as client:
        async with running_sandbox(clock=clock) as sandbox, aiohttp.ClientSession() as http:
            await Evening(client, server, clock, sandbox, http).play()
        owner = await asyncpg.connect(dsn)
        await owner.execute(DROP_CHECKS)
        await owner.execute("CREATE SCHEMA kept")
        for table in TABLES:
            await owner.execute(f"CREATE TABLE kept.{table} AS TABLE {table}")
        yield Books(client, server.parts.pool, owner, clock)
        await owner.close()
