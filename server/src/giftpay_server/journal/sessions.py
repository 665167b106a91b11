"""The journal's two database sessions: one writes batches, one reads for the next batch."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from giftpay_server.journal.writes import open_stripe, stripe_accounts
from giftpay_server.ledger.model import EPOCH, AccountKey
from giftpay_server.postgres.pool import Connect, Connection

# The journal's statements always use an index: fresh tables have no statistics, and a plan made
# without them may scan. So one generic plan fits all batches, and saves planning each of them.
SESSION = """
    SET application_name = 'giftpay-server journal'; SET lock_timeout = {lock_timeout_ms};
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET plan_cache_mode = force_generic_plan
"""

READ_CLOCK = "SELECT clock_timestamp()"


class Sessions:
    """Sessions opened on demand, outside any pool: the journal must not wait behind readers."""

    def __init__(self, connect: Connect, *, lock_timeout_ms: int) -> None:
        self._connect = connect
        self._settings = SESSION.format(lock_timeout_ms=lock_timeout_ms)
        self._opening = asyncio.Lock()  # so that concurrent requests do not open two
        self._reader: Connection | None = None
        self._writer: Connection | None = None
        self.begin_time = EPOCH  # of the writer, by Postgres' clock
        self.stripe = 0  # of the system accounts; the writer adds to it

    @property
    def is_open(self) -> bool:
        """Whether there is a writer that was not closed."""
        return self._writer is not None and not self._writer.is_closed()

    async def reader(self) -> Connection:
        """The session for single statements, each a transaction by itself."""
        async with self._opening:
            if self._reader is None or self._reader.is_closed():
                self._reader = await self._open()
            return self._reader

    async def writer(self) -> Connection:
        """The session for transactions, one after another."""
        async with self._opening:
            if self._writer is None or self._writer.is_closed():
                self._writer = await self._open_writer()
            return self._writer

    @property
    def stripes(self) -> set[AccountKey]:
        """The account rows of the writer's stripe."""
        return stripe_accounts(self.stripe)

    async def change_stripe(self) -> None:
        """Takes another stripe: another session has locked rows of this one."""
        self.stripe = await open_stripe(await self.writer())

    @property
    def pids(self) -> list[int]:
        """The Postgres processes of these sessions."""
        both = (self._reader, self._writer)
        return [each.get_server_pid() for each in both if each is not None and not each.is_closed()]

    async def _open_writer(self) -> Connection:
        connection = await self._open()
        try:
            self.stripe = await open_stripe(connection)
            self.begin_time = await connection.fetchval(READ_CLOCK)
        except BaseException:
            connection.terminate()  # its setup failed half-way
            raise
        return connection

    async def _open(self) -> Connection:
        connection = await self._connect()
        try:
            await connection.execute(self._settings)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def drop_reader(self) -> None:
        """Terminates the reader at once: its state is unknown, or it is of another Postgres."""
        _terminate(self._reader)
        self._reader = None

    def drop(self) -> None:
        """Terminates both at once: the database is away, or their state is unknown."""
        self.drop_reader()
        _terminate(self._writer)
        self._writer = None

    async def close(self) -> None:
        """Closes both gracefully, if the database is still there."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                with suppress(Exception):  # the database may be away, which no longer matters
                    await connection.close(timeout=1)


def _terminate(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(Exception):
            connection.terminate()
