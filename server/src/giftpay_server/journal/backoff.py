"""Exponential back-off of items that fail, and a log that sums up repeated causes."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

BACKOFF_ITEMS_MAX = 1_000  # the oldest is dropped first, and is then retried sooner
CAUSES_MAX = 100
SUMMED_UP_EVERY = timedelta(seconds=30)


def delay_s(failures: int, *, first_s: float, max_s: float) -> float:
    """The delay, which doubles with each failure in a row."""
    doublings = min(failures - 1, 20)
    return min(first_s * 2.0**doublings, max_s)


class _Retry(NamedTuple):
    time: datetime
    failures: int


class ItemBackoff:
    """Items that are not retried before a time, each with its own back-off."""

    def __init__(self, *, first_s: float, max_s: float) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._retries: dict[Hashable, _Retry] = {}

    def __len__(self) -> int:
        return len(self._retries)

    def add(self, key: Hashable, now: datetime) -> None:
        """Records a failure of the item; its delay doubles with each one in a row."""
        before = self._retries.pop(key, None)
        if len(self._retries) >= BACKOFF_ITEMS_MAX:
            del self._retries[next(iter(self._retries))]
        failures = before.failures + 1 if before else 1
        wait = timedelta(seconds=delay_s(failures, first_s=self._first_s, max_s=self._max_s))
        self._retries[key] = _Retry(now + wait, failures)

    def remove(self, key: Hashable) -> None:
        """Records that the item succeeded: its next failure is a first one."""
        self._retries.pop(key, None)

    def is_waiting(self, key: Hashable, now: datetime) -> bool:
        """Whether it is too early to retry the item."""
        retry = self._retries.get(key)
        # A time beyond the longest back-off means that the clock was set back since.
        return retry is not None and now < retry.time <= now + timedelta(seconds=self._max_s)

    def forget_old(self, now: datetime) -> None:
        """Removes items that were due long ago: another process has done them."""
        old = now - timedelta(seconds=2 * self._max_s)
        self._retries = {key: retry for key, retry in self._retries.items() if retry.time > old}


@dataclass(slots=True)
class _Repeats:
    logged: datetime
    last: datetime
    count: int = 0  # since it was logged


class CauseLog:
    """Logs a new cause at once, and the repeats of a known one as a count."""

    def __init__(self, log: logging.Logger, name: str, *, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._name = name
        self._clock = clock
        self._known: dict[str, _Repeats] = {}

    def add(self, error: Exception, *, about: object, expected: bool) -> None:
        """Logs a new cause in one line, with a traceback unless it was expected."""
        cause, now = _cause(error), self._clock()
        if cause in self._known:
            self._known[cause].count += 1
            self._known[cause].last = now
            return
        if len(self._known) >= CAUSES_MAX:
            del self._known[next(iter(self._known))]
        self._known[cause] = _Repeats(now, now)
        traced = None if expected else error
        line = "%s: %s failed and is tried again: %s"
        self._log.warning(line, self._name, about, _line(error), exc_info=traced)

    def sum_up(self) -> None:
        """Logs how often known causes were repeated; forgets those that no longer occur."""
        now = self._clock()
        for cause, repeats in list(self._known.items()):
            if abs(now - repeats.logged) < SUMMED_UP_EVERY:
                continue
            if repeats.count:
                self._log.warning("%s: %s failures more: %s", self._name, repeats.count, cause)
                self._known[cause] = _Repeats(now, repeats.last)
            elif abs(now - repeats.last) > 2 * SUMMED_UP_EVERY:
                del self._known[cause]


def _cause(error: Exception) -> str:
    """The type and the place of an error, without its message, which often names the item."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _line(error: Exception) -> str:
    cause = f" (from {error.__cause__!r})" if error.__cause__ is not None else ""
    return f"{error!r}{cause}".replace("\n", " ")
