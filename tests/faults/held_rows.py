"""Rows that another session has locked, like a forgotten transaction of an operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

MEET_S = 20  # for somebody to want the row, on a busy machine
POLL_S = 0.005  # less than any lock_timeout

ACCOUNT = "SELECT FROM account WHERE owner_id = $1 FOR UPDATE"
ACCOUNTS = "SELECT FROM account WHERE owner_id = ANY($1::text[]) FOR UPDATE"
OWNER = "SELECT FROM owner WHERE owner_id = $1 FOR UPDATE"
REDEMPTION = "SELECT FROM redemption WHERE redemption_id = $1 FOR UPDATE"
KEY = """
    INSERT INTO transactions (id, caller, kind, request, reason, answer, catalog_version, entries,
                              create_time)
    VALUES ($1, 'operator', 1, '', 0, '', 0, '', now())
"""
# The one that moved last: it is the running server's.
STRIPE = r"""
    SELECT owner_id FROM account
     WHERE owner_id LIKE '~GIFT\_SALES~%' ORDER BY entry_time DESC LIMIT 1 FOR UPDATE
"""

# Not pg_stat_activity, which a transaction reads only once.
WAITING = """
    SELECT EXISTS (SELECT FROM pg_locks
                    WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))
      FROM pg_sleep($1)
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that holds a row."""

    connection: asyncpg.Connection[asyncpg.Record]
    pid: int

    async def until_met(self) -> None:
        """Waits until another session waits for this one."""
        async with asyncio.timeout(MEET_S):
            while not await self.connection.fetchval(WAITING, POLL_S):
                pass


@asynccontextmanager
async def held(dsn: str, statement: str, *arguments: Any) -> AsyncIterator[Holder]:
    """Holds the locks of a statement, and rolls it back afterwards."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        await connection.execute(statement, *arguments)
        yield Holder(connection, connection.get_server_pid())
        await connection.execute("ROLLBACK")
    finally:
        connection.terminate()
