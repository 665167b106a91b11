"""Group commit: collects concurrent commands and commits them together.

There is no timer. What arrives while one batch commits is the next batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import asyncpg

from giftpay_server.ledger import rules
from giftpay_server.ledger.books import Books, Draft
from giftpay_server.ledger.commands import Answer, Command
from giftpay_server.ledger.feed import Feed
from giftpay_server.ledger.store import (
    CatalogAt,
    Tables,
    claim_stripe,
    read_books,
    read_rows,
    save_rows,
    write,
)
from giftpay_server.ledger.waiting import Limits, Waiting, WaitingRoom
from giftpay_server.postgres.pool import (
    Connect,
    Connection,
    Pool,
    is_connection_lost,
)

log = logging.getLogger(__name__)

# Another batch was quicker, or the database broke a tie; the same batch may simply run again.
LOST_RACE = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

# The journal's statements go by index, always: fresh tables have no statistics, and a plan made
# without them may scan. One plan for all batches then does, and saves planning each.
SESSION = """
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET plan_cache_mode = force_generic_plan
"""


class DatabaseUnavailableError(Exception):
    """The database is away or does not answer; the outcome may be unknown."""


class CommandFailedError(Exception):
    """A command that cannot be decided or written: a defect of ours, told as its cause."""


class Journal:
    """The one way by which anything is decided."""

    def __init__(
        self,
        pool: Pool,
        feed: Feed,
        *,
        connect: Connect,
        clock: Callable[[], datetime],
        catalog_at: CatalogAt,
        tables: Tables,
        limits: Limits,
    ) -> None:
        self._pool = pool
        self._feed = feed
        self._connect_anew = connect
        self._clock = clock
        self._catalog_at = catalog_at
        self._tables = tables
        self._waiting = WaitingRoom(limits)
        self._connection: Connection | None = None
        self._stripe = 0

    async def record(self, command: Command) -> Answer:
        """Decides one command; returns once its outcome is committed.

        Raises OverloadedError or ShuttingDownError when it was not taken, and
        DatabaseUnavailableError when it is unknown whether it was committed.
        """
        (waiting,) = self._waiting.put((command,))
        return await waiting.answer

    def check_room(self, commands: int) -> None:
        """Raises as `record` would if so many were not taken now: to refuse before any work."""
        self._waiting.check(commands)

    async def record_all(self, commands: Sequence[Command]) -> list[Answer | Exception]:
        """Decides commands in their order; they are taken all or none.

        An item's own failure stands in its place; raises as `record` when none was taken.
        """
        waiting = [item.answer for item in self._waiting.put(commands)]
        try:
            answers: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        except asyncio.CancelledError:
            for answer in waiting:
                answer.cancel()
            raise
        return answers

    async def preview(self, command: Command) -> Answer:
        """What the command would come to now, whatever its key; locks and writes nothing."""
        async with self._pool.acquire() as connection:
            books = await self._read(connection, [command], lock=False)
        (answer,) = rules.decide([command], books, Draft())
        return answer

    async def run(self) -> None:
        """Commits batch after batch until `drain` is called and nothing waits."""
        try:
            while batch := await self._waiting.take():
                begun = time.monotonic()
                await self._commit(batch)
                self._waiting.pace(time.monotonic() - begun)
        finally:
            if self._connection is not None:
                with suppress(Exception):  # the database may be away; nothing hangs on it now
                    await self._connection.close(timeout=1)

    def drain(self) -> None:
        """Takes no new commands; `run` returns once what waits is answered."""
        self._waiting.close()

    async def _commit(self, batch: Sequence[Waiting], *, again: bool = False) -> None:
        try:
            await self._settle(batch)
        except LOST_RACE:
            if again:
                _fail(batch)
            else:
                # What the other batch wrote is visible now, so the second look finds it.
                await self._commit(batch, again=True)
        except Exception as error:
            if is_connection_lost(error):
                log.warning("the database is away: %r", error)
                self._disconnect()
                _fail(batch)
            else:
                await self._one_by_one(batch, error)

    async def _one_by_one(self, batch: Sequence[Waiting], error: Exception) -> None:
        """So that only the command which cannot be written is answered with a failure."""
        if len(batch) == 1:
            failure = CommandFailedError(batch[0].command.id)
            failure.__cause__ = error
            _fail(batch, failure)
            return
        for index, waiting in enumerate(batch, start=1):
            await self._commit([waiting])
            if self._connection is None:  # the database is away: for the others as well
                _fail(batch[index:])
                return

    async def _settle(self, batch: Sequence[Waiting]) -> None:
        commands = [waiting.command for waiting in batch]
        connection, draft = await self._connect(), Draft()
        async with connection.transaction():
            books = await self._read(connection, commands, lock=True)
            answers = rules.decide(commands, books, draft)
            if draft.transactions:
                await write(connection, draft, now=books.now, stripe=self._stripe)
                await save_rows(connection, draft, self._tables)
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        self._feed.announce(draft)

    async def _read(
        self, connection: Connection, commands: Sequence[Command], *, lock: bool
    ) -> Books:
        books = await read_books(
            connection, commands, clock=self._clock, catalog_at=self._catalog_at, lock=lock
        )
        books.rows = await read_rows(connection, commands, self._tables)
        return books

    async def _connect(self) -> Connection:
        if self._connection is None:
            connection = await self._connect_anew()
            try:
                await connection.execute(SESSION)
                self._stripe = await claim_stripe(connection)
            except BaseException:
                connection.terminate()  # half ready is of no use
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.terminate()


def _fail(batch: Sequence[Waiting], failure: Exception | None = None) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            # Each its own: tracebacks are not shared.
            waiting.answer.set_exception(failure or DatabaseUnavailableError())
