"""Runs the server's own work when it falls due: payouts, deadlines, large jobs in slices.

A worker says what is due and attends to one item. What is here decides when, how many at once, and
what happens after a failure.

**How processes share the work.** No process owns an item. Each reads the items that have been due
longest, takes as many as it has free slots for, *at random*, and reads again once a slot is free.
So two processes seldom begin the same item, and when they do, the begin command's derived key lets
only one of them go on: the other's is a replay. Correctness rests on that key alone.

**No item starves.** A read returns `ROUND_MAX` items beside those that this process has under way
or has set aside, so items that fail never fill it. Of those each is equally likely to be taken, by
every process and at every read, whatever happened before: with r items ready and s slots free, an
item is passed over k times with a probability of (1 - s/r)^k. A process that dies leaves nothing
behind: what it had not begun is still due for all others.
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

from giftpay_server.journal.backoff import CauseLog, SetAside, delay_s
from giftpay_server.journal.failures import AccountBusyError, DatabaseUnavailableError
from giftpay_server.journal.queue import OverloadedError, ShuttingDownError
from giftpay_server.postgres.clock import ClockSkewError
from giftpay_server.postgres.faults import is_unavailable

log = logging.getLogger(__name__)

ROUND_MAX = 400  # items in one round
CALLS_MAX = 8  # items at once
BACKOFF_MAX_S = 30.0
CALL_MAX_S = 60.0  # for one item, and for reading what is due


class PostponedError(Exception):
    """The item cannot be attended to now, through no fault of its own: a provider is away."""


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
        """What the log calls it."""

    async def due(self, now: datetime, limit: int) -> Sequence[ItemT]:
        """What is due, the longest first."""

    async def attend(self, item: ItemT) -> bool:
        """Attends to one item; False where another process had begun it, or nothing is left to do.

        Raises PostponedError where it cannot be done now. The item may be cancelled at any point.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often and how much."""

    poll_s: float = 1.0
    jitter: float = 0.2  # of the poll interval, either way
    round_max: int = ROUND_MAX
    calls_max: int = CALLS_MAX
    call_max_s: float = CALL_MAX_S
    backoff_max_s: float = BACKOFF_MAX_S


class Result(Enum):
    """What came of one item."""

    ATTENDED = auto()
    TAKEN = auto()  # by another process
    POSTPONED = auto()
    FAILED = auto()


@dataclass(slots=True)
class Figures:
    """What came of items, of one round or of all."""

    attended: int = 0
    taken: int = 0
    postponed: int = 0
    failed: int = 0
    longest_overdue: timedelta = timedelta()  # of all: when they were read last

    def count(self, result: Result) -> None:
        """One item more."""
        match result:
            case Result.ATTENDED:
                self.attended += 1
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
        self.totals = Figures()
        self._worker = worker
        self._clock = clock
        self._pace = pace = pace or Pace()
        self._chance = chance or Random()
        self._under_way: dict[Hashable, asyncio.Task[None]] = {}
        self._backoff_max_s = max(pace.backoff_max_s, pace.poll_s)
        self._aside = SetAside(first_s=pace.poll_s, most_s=self._backoff_max_s)
        self._in_vain: set[Hashable] = set()  # items that failed since one succeeded
        self._unread = 0  # reads that failed in a row
        self._causes = CauseLog(log, worker.name, clock=clock)

    async def run(self) -> None:
        """Works until it is cancelled, whatever fails."""
        figures = Figures()
        try:
            while True:
                rest_s = await self._pulse(figures)
                if rest_s or figures.attended >= self._pace.round_max:
                    log.debug("%s: %s", self._worker.name, figures)
                    figures = Figures()
                if rest_s:
                    await asyncio.sleep(rest_s)
                else:
                    await self._one_ends()
        finally:
            await _cancel(self._under_way.values())

    async def round(self) -> Figures:
        """Attends to what is due now, each item once, and returns when all of that has ended.

        For whoever sets the clock. Items in back-off are left out. Raises what the read raises.
        """
        figures, tasks = Figures(), dict[Hashable, asyncio.Task[None]]()
        try:
            while await self._begin_more(tasks, figures):
                await self._one_ends()
            if tasks:
                await asyncio.wait(tasks.values())
        except asyncio.CancelledError:
            await _cancel(tasks.values())
            raise
        return figures

    async def _begin_more(
        self, tasks: dict[Hashable, asyncio.Task[None]], figures: Figures
    ) -> bool:
        """Adds to a round's tasks what is due beside them; whether more of it is to follow."""
        others = [item for item in await self._read(figures) if item.key not in tasks]
        more = self._begin(others, self._room(), figures)
        tasks |= {item.key: self._under_way[item.key] for item in others if self._has(item)}
        return more and len(tasks) < self._pace.round_max

    async def _pulse(self, figures: Figures) -> float:
        """Begins what there is room for; how long to rest, 0 where more is due than that."""
        self._causes.sum_up()
        try:
            due = await self._read(figures)
        except Exception as error:
            self._unread += 1
            self._causes.add(error, about="the read of what is due", expected=_is_expected(error))
            return self._backoff_s(self._unread)
        self._unread = 0
        is_strained = self._is_strained()
        room = min(self._room(), 1) if is_strained else self._room()
        more = self._begin(due, room, figures)
        return 0.0 if more and not is_strained else self._jittered(self._pace.poll_s)

    async def _read(self, figures: Figures) -> Sequence[ItemT]:
        now = self._clock()
        self._aside.forget_old(now)
        limit = self._pace.round_max + len(self._under_way) + len(self._aside)
        async with asyncio.timeout(self._pace.call_max_s):
            due = await self._worker.due(now, limit)
        overdue = max((now - item.due_time for item in due), default=timedelta())
        self.totals.longest_overdue = overdue
        figures.longest_overdue = max(figures.longest_overdue, overdue)
        return due

    def _begin(self, due: Sequence[ItemT], room: int, figures: Figures) -> bool:
        """Takes as many at random as there is room for; whether there were more."""
        now = self._clock()
        once = {item.key: item for item in due}.values()  # one may be read twice
        ready = [
            item
            for item in once
            if not self._has(item) and not self._aside.is_waiting(item.key, now)
        ]
        for item in self._chance.sample(ready, min(room, len(ready))):
            self._under_way[item.key] = asyncio.create_task(self._attend(item, figures))
        return len(ready) > room

    async def _attend(self, item: ItemT, figures: Figures) -> None:
        try:
            result = await self._result(item)
        finally:
            del self._under_way[item.key]
        if result is Result.ATTENDED:
            self._aside.remove(item.key)
            self._in_vain.clear()
        else:
            self._aside.add(item.key, self._clock())
            if result is not Result.TAKEN and not self._is_strained():
                self._in_vain.add(item.key)
        figures.count(result)
        self.totals.count(result)

    async def _result(self, item: ItemT) -> Result:
        try:
            async with asyncio.timeout(self._pace.call_max_s):
                is_attended = await self._worker.attend(item)
        except Exception as error:
            expected = _is_expected(error)
            self._causes.add(error, about=item.key, expected=expected)
            return Result.POSTPONED if expected else Result.FAILED
        return Result.ATTENDED if is_attended else Result.TAKEN

    async def _one_ends(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)

    def _has(self, item: ItemT) -> bool:
        return item.key in self._under_way

    def _room(self) -> int:
        return self._pace.calls_max - len(self._under_way)

    def _is_strained(self) -> bool:
        """Everything fails: then one item a poll finds out when that ends (a circuit breaker)."""
        return len(self._in_vain) >= self._pace.calls_max

    def _backoff_s(self, failures: int) -> float:
        first_s = self._pace.poll_s
        return self._jittered(delay_s(failures, first_s=first_s, most_s=self._backoff_max_s))

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + self._pace.jitter * (2 * self._chance.random() - 1))


def _is_expected(error: Exception) -> bool:
    return isinstance(error, NOT_NOW) or is_unavailable(error)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
