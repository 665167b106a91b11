"""Group commit: collects concurrent commands and commits them together.

There is no timer. What arrives while one batch commits is the next batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from giftpay_server.postgres.pool import (
    CONNECTION_LOST,
    Connect,
    Connection,
    Pool,
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


class OverloadedError(Exception):
    """More waits than the bounds allow; nothing of the call was taken."""


class DatabaseUnavailableError(Exception):
    """The database is away or does not answer; the outcome may be unknown."""


class ShuttingDownError(Exception):
    """The journal takes no new commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The journal's bounds."""

    batch_max: int = 1_000  # commands in one commit
    queue_max: int = 8_192  # commands waiting
    wait_max_s: float = 0.25  # how long the first of them may have waited when another comes


@dataclass(slots=True)
class _Waiting:
    command: Command
    answer: asyncio.Future[Answer]
    since: float


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
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._connection: Connection | None = None
        self._stripe = 0

    async def record(self, command: Command) -> Answer:
        """Decides one command; returns once its outcome is committed.

        Raises OverloadedError or ShuttingDownError when it was not taken, and
        DatabaseUnavailableError when it is unknown whether it was committed.
        """
        (waiting,) = self._enqueue((command,))
        return await waiting.answer

    async def record_all(self, commands: Sequence[Command]) -> list[Answer | Exception]:
        """Decides commands in their order; they are taken all or none.

        An item's own failure stands in its place; raises as `record` when none was taken.
        """
        waiting = [item.answer for item in self._enqueue(commands)]
        try:
            answers: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        except asyncio.CancelledError:
            for answer in waiting:
                answer.cancel()
            raise
        return answers

    async def preview(self, command: Command) -> Answer:
        """What the command would come to now, whatever its key; locks and writes nothing."""
        try:
            async with self._pool.acquire() as connection:
                books = await self._read(connection, [command], lock=False)
        except CONNECTION_LOST as error:
            raise DatabaseUnavailableError from error
        (answer,) = rules.decide([command], books, Draft())
        return answer

    async def run(self) -> None:
        """Commits batch after batch until `drain` is called and nothing waits."""
        try:
            while not (self._closing and not self._queue):
                await self._arrived.wait()
                self._arrived.clear()
                while batch := self._take():
                    await self._commit(batch)
        finally:
            if self._connection is not None:
                await self._connection.close(timeout=1)

    def drain(self) -> None:
        """Takes no new commands; `run` returns once what waits is answered."""
        self._closing = True
        self._arrived.set()

    def _enqueue(self, commands: Sequence[Command]) -> list[_Waiting]:
        if self._closing:
            raise ShuttingDownError
        now = time.monotonic()
        if self._queue and (
            len(self._queue) + len(commands) > self._limits.queue_max
            or now - self._queue[0].since > self._limits.wait_max_s
        ):
            raise OverloadedError(str(len(self._queue)))
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(command, loop.create_future(), now) for command in commands]
        self._queue.extend(waiting)
        self._arrived.set()
        return waiting

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._limits.batch_max:
            if batch and (batch[0].command.alone or self._queue[0].command.alone):
                break
            waiting = self._queue.popleft()
            if not waiting.answer.done():  # otherwise its caller has gone
                batch.append(waiting)
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._settle(batch)
        except LOST_RACE:
            # What the other batch wrote is visible now, so the second look finds it.
            await self._again(batch)
        except CONNECTION_LOST as error:
            if isinstance(error, ValueError):  # asyncpg's own, of a value that it cannot send
                await self._one_by_one(batch)
                return
            log.warning("the database is away: %r", error)
            self._disconnect()
            _fail(batch, DatabaseUnavailableError)
        except Exception:
            await self._one_by_one(batch)

    async def _again(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._settle(batch)
        except (*LOST_RACE, *CONNECTION_LOST):
            self._disconnect()
            _fail(batch, DatabaseUnavailableError)
        except Exception:
            await self._one_by_one(batch)

    async def _one_by_one(self, batch: Sequence[_Waiting]) -> None:
        """So that only the command which cannot be written is answered with a failure."""
        if len(batch) > 1:
            for waiting in batch:
                await self._commit([waiting])
            return
        log.exception("a command could not be decided: %s", batch[0].command.id)
        _fail(batch, RuntimeError)

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        commands = [waiting.command for waiting in batch]
        connection, draft = await self._connect(), Draft()
        async with connection.transaction():
            books = await self._read(connection, commands, lock=True)
            answers = rules.decide(commands, books, draft)
            if draft.transactions:
                hint = self._feed.hint(draft)
                await write(connection, draft, now=books.now, stripe=self._stripe, hint=hint)
                await save_rows(connection, draft, self._tables)
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        self._feed.wake(draft)

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
            self._connection = connection = await self._connect_anew()
            await connection.execute(SESSION)
            self._stripe = await claim_stripe(connection)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.terminate()


def _fail(batch: Sequence[_Waiting], error: type[Exception]) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error())  # each its own: tracebacks are not shared
