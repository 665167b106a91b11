"""The runner of workers: back-off, fairness and bounds, with a given clock."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest
from giftpay_server.journal.backoff import BACKOFF_ITEMS_MAX, ItemBackoff, delay_s
from giftpay_server.journal.worker import Pace, PostponedError, Runner

LOG = "giftpay_server.journal.worker"
START = datetime(2026, 11, 1, tzinfo=UTC)
SMALL = Pace(round_max=4, calls_max=2)
SWIFT = Pace(poll_s=0.001, backoff_max_s=0.01, round_max=4, calls_max=2)


class Chore(NamedTuple):
    key: int
    due_time: datetime


class Chores:
    """Work in memory: some of it fails, some is postponed, some is another's, the rest is done."""

    name = "chores"

    def __init__(self, count: int, **bad: set[int]) -> None:
        self.now = START
        self.left = dict.fromkeys(range(count), START)
        self.failing = bad.get("failing", set())
        self.postponed = bad.get("postponed", set())
        self.taken = bad.get("taken", set())
        self.attempts: Counter[int] = Counter()
        self.unreadable = 0  # reads that fail
        self.at_once = self.at_once_most = 0
        self.done = asyncio.Event()

    def clock(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)

    def runner(self, pace: Pace = SMALL) -> Runner[Chore]:
        return Runner(self, clock=self.clock, pace=pace, chance=Random(7))

    async def due(self, now: datetime, limit: int) -> list[Chore]:
        if self.unreadable:
            self.unreadable -= 1
            raise ConnectionError
        due = [Chore(key, since) for key, since in self.left.items() if since <= now]
        return due[:limit]

    async def process(self, item: Chore) -> bool:
        self.attempts[item.key] += 1
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        await asyncio.sleep(0)
        self.at_once -= 1
        if item.key in self.failing:
            raise ZeroDivisionError
        if item.key in self.postponed:
            raise PostponedError(f"no answer for {item.key}")
        if item.key in self.taken:
            return False
        del self.left[item.key]
        if not self.left.keys() - self.failing:
            self.done.set()
        return True


async def run_until_done(chores: Chores, pace: Pace = SWIFT) -> Runner[Chore]:
    runner = chores.runner(pace)
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(10):
        await chores.done.wait()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return runner


async def run_for_turns(runner: Runner[Chore], turns: int = 200) -> None:
    """Runs it for so many turns of the event loop: as long as it does not rest."""
    task = asyncio.create_task(runner.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_round_is_bounded_and_so_is_what_runs_at_once() -> None:
    chores = Chores(11)
    runner = chores.runner()
    assert [(await runner.round()).processed for _ in range(4)] == [4, 4, 3, 0]
    assert chores.at_once_most == 2
    assert runner.totals.processed == 11


async def test_a_round_says_how_long_the_oldest_was_overdue() -> None:
    chores = Chores(3)
    chores.advance(minutes=2)
    figures = await chores.runner().round()
    assert figures.longest_overdue == timedelta(minutes=2)


async def test_what_fails_is_tried_again_later_each_time_and_stops_no_other() -> None:
    chores = Chores(3, failing={0})
    runner = chores.runner()
    figures = await runner.round()
    assert (figures.processed, figures.failed) == (2, 1)
    tried_at = [0]
    for second in range(1, 130):
        chores.advance(seconds=1)
        if (await runner.round()).failed:
            tried_at.append(second)
    assert tried_at == [0, 1, 3, 7, 15, 31, 61, 91, 121]


async def test_after_a_success_the_next_failure_is_a_first_one() -> None:
    chores = Chores(1, failing={0})
    runner = chores.runner()
    for wait in (0, 1, 2):
        chores.advance(seconds=wait)
        assert (await runner.round()).failed == 1
    chores.failing.clear()
    chores.advance(seconds=4)
    assert (await runner.round()).processed == 1
    chores.left[0], chores.failing = chores.now, {0}
    assert (await runner.round()).failed == 1
    chores.advance(seconds=1)
    assert (await runner.round()).failed == 1


async def test_a_round_full_of_what_fails_does_not_hide_what_is_due_after_it() -> None:
    chores = Chores(40, failing=set(range(39)))
    await run_until_done(chores)
    assert 39 not in chores.left


async def test_what_others_have_begun_is_no_failure() -> None:
    chores = Chores(2, taken={0})
    figures = await chores.runner().round()
    assert (figures.processed, figures.taken, figures.failed) == (1, 1, 0)


async def test_if_everything_fails_the_circuit_breaker_tries_one_at_a_time() -> None:
    chores = Chores(50, postponed=set(range(50)))
    runner = chores.runner(Pace(poll_s=600, calls_max=2))
    await run_for_turns(runner)
    assert 2 <= sum(chores.attempts.values()) <= 5


async def test_it_goes_on_after_reads_that_fail(caplog: pytest.LogCaptureFixture) -> None:
    chores = Chores(5)
    chores.unreadable = 5
    with caplog.at_level(logging.WARNING, LOG):
        runner = await run_until_done(chores)
    assert runner.totals.processed == 5
    (line,) = caplog.records
    assert "ConnectionError" in line.getMessage()
    assert line.exc_info is None


async def test_a_cause_is_logged_once_and_its_repeats_are_summed_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chores = Chores(2, failing={0, 1})
    runner = chores.runner(SWIFT)
    with caplog.at_level(logging.WARNING, LOG):
        for _ in range(10):
            await runner.round()
            chores.advance(seconds=1)
        (first,) = caplog.records
        assert first.exc_info is not None  # a defect: the first time with its traceback
        chores.advance(seconds=30)
        await run_for_turns(runner)
    assert "19 failures more: ZeroDivisionError" in caplog.records[1].getMessage()
    assert caplog.records[1].exc_info is None


async def test_a_round_raises_what_its_read_raises() -> None:
    chores = Chores(1)
    chores.unreadable = 1
    with pytest.raises(ConnectionError):
        await chores.runner().round()


def test_back_off_doubles_up_to_its_bound() -> None:
    waits = [delay_s(failures, first_s=1, max_s=30) for failures in (1, 2, 3, 4, 5, 6, 1_000)]
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_items_in_back_off_are_bounded_and_forgotten() -> None:
    aside = ItemBackoff(first_s=1, max_s=30)
    for key in range(BACKOFF_ITEMS_MAX + 5):
        aside.add(key, START)
    assert len(aside) == BACKOFF_ITEMS_MAX
    assert aside.is_waiting(BACKOFF_ITEMS_MAX, START)
    assert not aside.is_waiting(0, START)
    aside.forget_old(START + timedelta(minutes=5))
    assert len(aside) == 0


def test_a_clock_that_is_set_back_keeps_nothing_waiting() -> None:
    aside = ItemBackoff(first_s=1, max_s=30)
    aside.add("item", START)
    assert aside.is_waiting("item", START)
    assert not aside.is_waiting("item", START - timedelta(hours=1))
