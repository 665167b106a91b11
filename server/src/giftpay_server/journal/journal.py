"""Group commit: collects concurrent commands and commits them together.

There is no timer. Commands that arrive while one batch commits are the next batch. A full batch is
decided speculatively while the previous one is still being written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from giftpay_server.config import Limits
from giftpay_server.journal.committer import Committer, DecidedBatch
from giftpay_server.journal.feed import Feed
from giftpay_server.journal.queue import CommandQueue, Load, Waiting
from giftpay_server.journal.settlement import Stuck, fail, fail_with, settle
from giftpay_server.journal.side_lane import SideLane
from giftpay_server.journal.store import CatalogAt, Tables, read_clock_and_peers
from giftpay_server.ledger.model import AccountKey, Answer, Command
from giftpay_server.ledger.movements import Movements
from giftpay_server.postgres.clock import ClockSkewError, ClockWatch
from giftpay_server.postgres.pool import Connect, Pool

log = logging.getLogger(__name__)

LOCK_TIMEOUT_MS = 100
SIDE_LANE_LOCK_TIMEOUT_MS = 20  # a waiting side lane has locked accounts the main lane may need

Batch = Sequence[Waiting]


class Journal:
    """Decides all commands of this process."""

    def __init__(
        self,
        pool: Pool,
        feed: Feed,
        *,
        connect: Connect,
        clock: Callable[[], datetime],
        catalog_at: CatalogAt,
        tables: Tables,
        movements: Movements,
        limits: Limits,
        clock_watch: ClockWatch,
    ) -> None:
        self._clock_watch = clock_watch
        self._pool = pool
        self._clock = clock
        self._feed = feed
        new_committer = partial(
            Committer,
            connect=connect,
            clock=clock,
            catalog_at=catalog_at,
            tables=tables,
            movements=movements,
            clock_skew_max=timedelta(seconds=clock_watch.bound_s),
        )
        self._committer = new_committer(lock_timeout_ms=LOCK_TIMEOUT_MS)
        self._side_committer = new_committer(lock_timeout_ms=SIDE_LANE_LOCK_TIMEOUT_MS)
        self._side_lane = SideLane(self._side_committer, self._answer_from_side_lane)
        self._queue = CommandQueue(limits)

    async def record(self, command: Command) -> Answer:
        """Decides one command; returns once its outcome is committed.

        Raises OverloadedError, ShuttingDownError or ClockSkewError when it was not accepted,
        AccountBusyError when another session locked a row that it needs, and
        DatabaseUnavailableError when it is unknown whether it was committed.
        """
        self._clock_watch.check()
        (waiting,) = self._queue.put((command,))
        return await waiting.answer

    @property
    def load(self) -> Load:
        """The commands that are queued and the batches that are in flight."""
        return self._queue.load

    def check_capacity(self, commands: int) -> None:
        """Raises as `record` does if so many commands would not be accepted (backpressure)."""
        self._clock_watch.check()
        self._queue.check(commands)

    async def record_all(self, commands: Sequence[Command]) -> list[Answer | Exception]:
        """Decides commands in their order; either all of them are accepted or none is.

        The result of an item that failed is its exception; raises as `record` when none was
        accepted. An item that needs a row locked by another session is decided after the others.
        """
        self._clock_watch.check()
        waiting = [item.answer for item in self._queue.put(commands)]
        try:
            answers: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        except asyncio.CancelledError:
            for answer in waiting:
                answer.cancel()
            raise
        return answers

    async def preview(self, command: Command) -> Answer:
        """The answer that the command would get now; locks and writes nothing."""
        async with self._pool.acquire() as connection:
            return await self._committer.preview(connection, command)

    async def close_time(self, keys: Collection[AccountKey], at: datetime) -> bool:
        """Closes a time for accounts: this server books nothing more at or before it.

        Returns whether no other server can either. It writes nothing: it waits for batches that
        were decided before, and all later decisions bear a later time (a closed timestamp).
        """
        self._clock_watch.check()
        committers = (self._committer, self._side_committer)
        ours = [pid for committer in committers for pid in committer.pids]
        offset = self._clock() - datetime.now(UTC)  # of a clock that tests shift
        ahead_s, others = await read_clock_and_peers(self._pool, at - offset, ours)
        if ahead_s > self._clock_watch.bound_s:  # too far ahead: it would block all decisions
            raise ClockSkewError(-ahead_s, self._clock_watch.bound_s)
        for committer in committers:
            await committer.close_time(keys, at)
        return ahead_s <= 0 and not others

    async def run(self) -> None:
        """Commits batch after batch until `drain` is called and the queue is empty."""
        writing: asyncio.Task[bool] | None = None
        side_lane = asyncio.create_task(self._side_lane.run())
        try:
            while taken := await self._queue.take():
                begun = time.monotonic()
                diverted = [each for each in taken if self._is_diverted(each)]
                others = set(map(id, diverted))
                batch = [each for each in taken if id(each) not in others] if diverted else taken
                decided = await self._decide(batch, writing)
                writing = asyncio.create_task(self._settle(batch, decided, diverted, begun))
        finally:
            fail(self._queue.close())
            if writing is not None:
                await asyncio.wait({writing})
            self._side_lane.close()
            await side_lane
            for committer in (self._committer, self._side_committer):
                await committer.close()

    def drain(self) -> None:
        """Accepts no new commands; `run` returns once the queued ones are answered."""
        self._queue.drain()

    async def _decide(
        self, batch: Batch, writing: asyncio.Task[bool] | None
    ) -> DecidedBatch | None:
        """Decides a batch without locks, and waits for the write of the previous one.

        Returns None if this one is to be decided under locks.
        """
        ahead = writing is not None and not writing.done()
        decided = await self._decide_optimistically(batch, ahead=ahead)
        written = writing is None or await writing
        if ahead and not written:  # it was decided on a state that was never written
            if decided is not None:
                self._committer.forget(decided)
            self._committer.forget_commands([waiting.command for waiting in batch])
            return None
        return decided

    async def _decide_optimistically(self, batch: Batch, *, ahead: bool) -> DecidedBatch | None:
        commands = [waiting.command for waiting in batch]
        if not batch:
            return None
        expires = min(waiting.expires for waiting in batch)
        try:
            if not self._committer.is_provable(commands) or self._committer.use_lock_turn(commands):
                return None
            return await self._committer.decide_optimistically(
                commands, expires=expires, ahead=ahead
            )
        except Exception:  # nothing was written yet; deciding under locks finds out why
            self._committer.forget_all()
            return None

    async def _settle(
        self, batch: Batch, decided: DecidedBatch | None, diverted: Batch, begun: float
    ) -> bool:
        """Answers the batch; returns whether it was written as it was decided without locks.

        Diverted commands are handed to the side lane afterwards, so that they see this batch.
        """
        stuck: Sequence[Stuck] = ()
        try:
            error = await self._write(batch, decided) if decided is not None else None
            if decided is not None and error is None:
                return True
            stuck = await settle(self._committer, self._answer, batch, after=error)
            return False
        except Exception as defect:  # the journal goes on without this batch
            log.exception("a batch was dropped")
            fail_with(batch, defect)
            return False
        finally:
            if diverted or stuck:
                self._side_lane.put(diverted, stuck)
            self._queue.end_batch(begun)

    async def _write(self, batch: Batch, decided: DecidedBatch) -> Exception | None:
        """Writes a batch that was decided without locks; returns the error if that failed."""
        try:
            await self._committer.write_optimistically(decided)
        except Exception as error:
            self._committer.record_failure(decided, error)
            return error
        self._answer(batch, decided)
        return None

    def _is_diverted(self, waiting: Waiting) -> bool:
        """Whether the side lane decides it: alone, or behind others that wait for a row."""
        command = waiting.command
        blocked = self._side_lane.locked if command.moves_only else self._side_lane.blocked
        return command.alone or (bool(blocked) and not blocked.keys().isdisjoint(command.accounts))

    def _answer(self, batch: Batch, decided: DecidedBatch) -> None:
        for waiting, answer in zip(batch, decided.answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        self._feed.announce(decided.draft)

    def _answer_from_side_lane(self, batch: Batch, decided: DecidedBatch) -> None:
        # Otherwise the main lane's next write of these accounts would be a conflict.
        self._committer.note_stale(decided.draft.accounts)
        self._answer(batch, decided)
