"""Runs background workers: payouts, deadlines and large jobs in small steps.

A worker lists due items and processes one of them. This module decides when, how many at once, and
what happens after a failure.

**How processes share the work.** There is no lease: no process owns an item. Each reads the items
that have been due longest, takes as many as it has free slots for, *at random*, and reads again
once a slot is free. So two processes seldom begin the same item. When they do, the idempotency key
of the begin command lets only one of them continue: the other's is a replay. Correctness depends
only on that key.

**No starvation.** A read returns `ROUND_MAX` items besides those that are in flight or in back-off
here, so failing items never fill it. Each of them is taken with the same probability, by every
process and at every read: with r items ready and s slots free, an item is passed over k times with
a probability of (1 - s/r)^k. If a process dies, the items that it had not begun are still due for
all others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from random import Random
from typing import Generic, Protocol, TypeVar

from giftpay_server.journal.backoff import CauseLog, ItemBackoff, delay_s
from giftpay_server.journal.failures import AccountBusyError, DatabaseUnavailableError
from giftpay_server.journal.queue import OverloadedError, ShuttingDownError
from giftpay_server.postgres.clock import ClockSkewError
from giftpay_server.postgres.faults import is_unavailable

log = logging.getLogger(__name__)

ROUND_MAX = 400  # items in one round
CALLS_MAX = 8  # concurrent items
BACKOFF_MAX_S = 30.0
CALL_MAX_S = 60.0  # for one item, and for reading what is due


class PostponedError(Exception):
    """The item cannot be processed now, through no fault of its own: a provider is away."""


NOT_NOW = (
    PostponedError,
    AccountBusyError,
    ClockSkewError,
    DatabaseUnavailableError,
    OverloadedError,
    ShuttingDownError,
)


class Item(Protocol):
    """Something that is due."""

    @property
    def key(self) -> Hashable:
        """The same whenever the item is due."""

    @property
    def due_time(self) -> datetime:
        """Since when it is due."""


ItemT = TypeVar("ItemT", bound=Item)


class Worker(Protocol[ItemT]):
    """One kind of work."""

    @property
    def name(self) -> str:
        """Its name in the log."""

    async def due(self, now: datetime, limit: int) -> Sequence[ItemT]:
        """The due items, the longest due first."""

    async def process(self, item: ItemT) -> bool:
        """Processes one item; False if another process had begun it, or nothing is left to do.

        Raises PostponedError if it cannot be done now. It may be cancelled at any point.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to poll and how much to do."""

    poll_s: float = 1.0
    jitter: float = 0.2  # of the poll interval, either way
    round_max: int = ROUND_MAX
    calls_max: int = CALLS_MAX
    call_max_s: float = CALL_MAX_S
    backoff_max_s: float = BACKOFF_MAX_S


class Result(Enum):
    """The result of one item."""

    PROCESSED = auto()
    TAKEN = auto()  # by another process
    POSTPONED = auto()
    FAILED = auto()


@dataclass(slots=True)
class Counts:
    """The results of items, of one round or of all."""

    processed: int = 0
    taken: int = 0
    postponed: int = 0
    failed: int = 0
    longest_overdue: timedelta = timedelta()  # at the last read, if of all

    def count(self, result: Result) -> None:
        """Adds one item."""
        match result:
            case Result.PROCESSED:
                self.processed += 1
            case Result.TAKEN:
                self.taken += 1
            case Result.POSTPONED:
                self.postponed += 1
            case Result.FAILED:
                self.failed += 1


class Runner(Generic[ItemT]):
    """Runs one worker in this process; `totals` counts since the start."""

    def __init__(
        self,
        worker: Worker[ItemT],
        *,
        clock: Callable[[], datetime],
        pace: Pace | None = None,
        chance: Random | None = None,
    ) -> None:
        self.totals = Counts()
        self._worker = worker
        self._clock = clock
        self._pace = pace = pace or Pace()
        self._chance = chance or Random()
        self._in_flight: dict[Hashable, asyncio.Task[None]] = {}
        self._backoff_max_s = max(pace.backoff_max_s, pace.poll_s)
        self._backoff = ItemBackoff(first_s=pace.poll_s, max_s=self._backoff_max_s)
        self._failing: set[Hashable] = set()  # items that failed since one succeeded
        self._unread = 0  # reads that failed in a row
        self._causes = CauseLog(log, worker.name, clock=clock)

    async def run(self) -> None:
        """Works until it is cancelled; no failure ends it."""
        counts = Counts()
        try:
            while True:
                rest_s = await self._poll(counts)
                if rest_s or counts.processed >= self._pace.round_max:
                    log.debug("%s: %s", self._worker.name, counts)
                    counts = Counts()
                if rest_s:
                    await asyncio.sleep(rest_s)
                else:
                    await self._one_ends()
        finally:
            await _cancel(self._in_flight.values())

    async def round(self) -> Counts:
        """Processes what is due now, each item once, and returns when all of it has ended.

        For tests that set the clock. Items in back-off are skipped. Raises what the read raises.
        """
        counts, tasks = Counts(), dict[Hashable, asyncio.Task[None]]()
        try:
            while await self._begin_more(tasks, counts):
                await self._one_ends()
            if tasks:
                await asyncio.wait(tasks.values())
        except asyncio.CancelledError:
            await _cancel(tasks.values())
            raise
        return counts

    async def _begin_more(self, tasks: dict[Hashable, asyncio.Task[None]], counts: Counts) -> bool:
        """Begins further items of a round; returns whether it should be called again."""
        others = [item for item in await self._read(counts) if item.key not in tasks]
        more = self._begin(others, self._free_slots(), counts)
        begun = filter(self._is_in_flight, others)
        tasks |= {item.key: self._in_flight[item.key] for item in begun}
        return more and len(tasks) < self._pace.round_max

    async def _poll(self, counts: Counts) -> float:
        """Fills the free slots; returns how long to rest, 0 if more items are due."""
        self._causes.sum_up()
        try:
            due = await self._read(counts)
        except Exception as error:
            self._unread += 1
            self._causes.add(error, about="the read of what is due", expected=_is_expected(error))
            return self._backoff_s(self._unread)
        self._unread = 0
        is_circuit_open = self._is_circuit_open()
        slots = min(self._free_slots(), 1) if is_circuit_open else self._free_slots()
        more = self._begin(due, slots, counts)
        return 0.0 if more and not is_circuit_open else self._jittered(self._pace.poll_s)

    async def _read(self, counts: Counts) -> Sequence[ItemT]:
        now = self._clock()
        self._backoff.forget_old(now)
        limit = self._pace.round_max + len(self._in_flight) + len(self._backoff)
        async with asyncio.timeout(self._pace.call_max_s):
            due = await self._worker.due(now, limit)
        overdue = max((now - item.due_time for item in due), default=timedelta())
        self.totals.longest_overdue = overdue
        counts.longest_overdue = max(counts.longest_overdue, overdue)
        return due

    def _begin(self, due: Sequence[ItemT], slots: int, counts: Counts) -> bool:
        """Begins as many items as there are slots, at random; returns whether there were more."""
        now = self._clock()
        once = {item.key: item for item in due}.values()  # a read may return an item twice
        ready = [
            item
            for item in once
            if not self._is_in_flight(item) and not self._backoff.is_waiting(item.key, now)
        ]
        for item in self._chance.sample(ready, min(slots, len(ready))):
            self._in_flight[item.key] = asyncio.create_task(self._process(item, counts))
        return len(ready) > slots

    async def _process(self, item: ItemT, counts: Counts) -> None:
        try:
            result = await self._result(item)
        finally:
            del self._in_flight[item.key]
        if result is Result.PROCESSED:
            self._backoff.remove(item.key)
            self._failing.clear()
        else:
            self._backoff.add(item.key, self._clock())
            if result is not Result.TAKEN and not self._is_circuit_open():
                self._failing.add(item.key)
        counts.count(result)
        self.totals.count(result)

    async def _result(self, item: ItemT) -> Result:
        try:
            async with asyncio.timeout(self._pace.call_max_s):
                is_processed = await self._worker.process(item)
        except Exception as error:
            expected = _is_expected(error)
            self._causes.add(error, about=item.key, expected=expected)
            return Result.POSTPONED if expected else Result.FAILED
        return Result.PROCESSED if is_processed else Result.TAKEN

    async def _one_ends(self) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight.values(), return_when=asyncio.FIRST_COMPLETED)

    def _is_in_flight(self, item: ItemT) -> bool:
        return item.key in self._in_flight

    def _free_slots(self) -> int:
        return self._pace.calls_max - len(self._in_flight)

    def _is_circuit_open(self) -> bool:
        """Whether everything fails (a circuit breaker): then each poll tries a single item."""
        return len(self._failing) >= self._pace.calls_max

    def _backoff_s(self, failures: int) -> float:
        first_s = self._pace.poll_s
        return self._jittered(delay_s(failures, first_s=first_s, max_s=self._backoff_max_s))

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + self._pace.jitter * (2 * self._chance.random() - 1))


def _is_expected(error: Exception) -> bool:
    return isinstance(error, NOT_NOW) or is_unavailable(error)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
