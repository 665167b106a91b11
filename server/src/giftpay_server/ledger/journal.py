"""Group commit: collects concurrent commands and commits them together.

There is no timer. What arrives while one batch commits is the next batch; a full batch is decided
while the one before it is still being written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from giftpay_server.ledger.commands import Answer, Command
from giftpay_server.ledger.committer import Committer, DecidedBatch
from giftpay_server.ledger.feed import Feed
from giftpay_server.ledger.store import CatalogAt, Tables
from giftpay_server.ledger.waiting import Limits, Waiting, WaitingRoom
from giftpay_server.postgres.pool import Connect, Pool, is_connection_lost

log = logging.getLogger(__name__)

# Another batch was quicker, or the database broke a tie; the same batch may simply run again.
LOST_RACE = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

CONTENDED_BATCHES = 20  # that lock at once after a race was lost: where one is, more are likely


class DatabaseUnavailableError(Exception):
    """The database is away or does not answer; the outcome may be unknown."""


class CommandFailedError(Exception):
    """A command that cannot be decided or written: a defect of ours, told as its cause."""


@dataclass(slots=True, eq=False)
class Turn:
    """One batch on its way into the books."""

    batch: Sequence[Waiting]
    before: Turn | None  # the batch that is under way when this one is taken
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    written: bool = False  # as it was decided without locks

    async def stands(self) -> bool:
        """Whether it was written as it was decided, once it has ended."""
        await self.ended.wait()
        return self.written


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
        self._committer = Committer(
            connect=connect, clock=clock, catalog_at=catalog_at, tables=tables
        )
        self._waiting = WaitingRoom(limits)
        self._contended = 0  # batches that are to lock first

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
        """What the command would come to now; locks and writes nothing."""
        async with self._pool.acquire() as connection:
            return await self._committer.preview(connection, command)

    async def run(self) -> None:
        """Commits batch after batch until `drain` is called and nothing waits."""
        turn = None
        try:
            async with asyncio.TaskGroup() as turns:
                while batch := await self._waiting.take():
                    turn = Turn(batch, turn if turn and not turn.ended.is_set() else None)
                    turns.create_task(self._serve(turn))
        finally:
            await self._committer.close()

    def drain(self) -> None:
        """Takes no new commands; `run` returns once what waits is answered."""
        self._waiting.close()

    async def _serve(self, turn: Turn) -> None:
        begun = time.monotonic()
        try:
            if not await self._is_settled_optimistically(turn):
                turn.decided.clear()  # no batch may go on from what is decided anew
                if turn.before is not None:
                    await turn.before.ended.wait()
                await self._settle_locked(turn.batch)
        finally:
            turn.before = None  # so that no chain of them grows
            turn.decided.set()
            turn.ended.set()
            self._waiting.ended(begun)

    async def _is_settled_optimistically(self, turn: Turn) -> bool:
        """Whether the batch was dealt with without locks; otherwise nothing of it stands."""
        if self._contended or not all(waiting.command.plain for waiting in turn.batch):
            self._contended = max(0, self._contended - 1)
            return False
        try:
            return await self._settle_optimistically(turn)
        except LOST_RACE:
            self._contended = CONTENDED_BATCHES
        except Exception as error:
            if is_connection_lost(error) and turn.decided.is_set():
                self._give_up(turn.batch, error)
                return True
            # Otherwise nothing was sent yet, or Postgres said no; the locked way finds out why.
            self._committer.forget_all()
        return False

    async def _settle_optimistically(self, turn: Turn) -> bool:
        before = turn.before
        if before is not None:
            while not before.decided.is_set():  # again, if it was decided in vain
                await before.decided.wait()
            if before.ended.is_set():
                before = None  # what it did can be read
        commands = [waiting.command for waiting in turn.batch]
        decided = await self._committer.decide_optimistically(commands, ahead=before is not None)
        turn.decided.set()
        try:
            if before is None or await before.stands():
                turn.written = await self._is_written(decided)
        finally:
            if not turn.written:
                self._committer.forget(decided)
        if turn.written:
            self._tell(turn.batch, decided)
        return turn.written

    async def _is_written(self, decided: DecidedBatch) -> bool:
        try:
            await self._committer.write_optimistically(decided)
        except asyncpg.UniqueViolationError:
            return False  # a key that was used before; only the locked way looks for it
        return True

    async def _settle_locked(self, batch: Sequence[Waiting], *, again: bool = False) -> None:
        try:
            commands = [waiting.command for waiting in batch]
            self._tell(batch, await self._committer.commit(commands))
        except Exception as error:
            self._committer.forget_all()
            if isinstance(error, LOST_RACE) and not again:
                # What the other batch wrote is visible now, so the second look finds it.
                await self._settle_locked(batch, again=True)
            elif isinstance(error, LOST_RACE) or is_connection_lost(error):
                self._give_up(batch, error)
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
            await self._settle_locked([waiting])
            if self._committer.is_cut_off:  # the database is away: for the others as well
                _fail(batch[index:])
                return

    def _give_up(self, batch: Sequence[Waiting], error: Exception) -> None:
        if is_connection_lost(error):
            log.warning("the database is away: %r", error)
            self._committer.drop()
        else:
            log.error("a batch lost its race under locks as well: %r", error)
        _fail(batch)

    def _tell(self, batch: Sequence[Waiting], decided: DecidedBatch) -> None:
        for waiting, answer in zip(batch, decided.answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        self._feed.announce(decided.draft)


def _fail(batch: Sequence[Waiting], failure: Exception | None = None) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            # Each its own: tracebacks are not shared.
            waiting.answer.set_exception(failure or DatabaseUnavailableError())
