"""Slots that bound the calls in flight, with timers for calls that are late or slow."""

import asyncio
from collections import deque
from collections.abc import Callable
from statistics import median
from time import monotonic

# A batch is answered as a whole: a gift whose row another session holds delays the whole batch.
# Late and slow are multiples of the typical time, so that a busy server does not get more calls.
LATE_S, LATE_FACTOR = 0.2, 2  # then the next batch is sent without waiting for this one
SLOW_S, SLOW_FACTOR = 1.0, 5  # then the gifts of the batch are sent alone
TYPICAL_OF = 9  # the last calls, whose median one stuck call does not change


class Slots:
    """The slots of calls in flight; `free` is called when one becomes free."""

    def __init__(self, count: int, free: Callable[[], None]) -> None:
        self._left, self._free = count, free
        self._times_s: deque[float] = deque([0.0], maxlen=TYPICAL_OF)

    @property
    def has_free_slot(self) -> bool:
        """Whether another call may start now."""
        return self._left > 0

    @property
    def typical_s(self) -> float:
        """The median duration of the last calls."""
        return median(self._times_s)

    def take(self, slow: Callable[[], None]) -> "Slot":
        """Takes a slot for a call; `slow` is called if the call takes too long."""
        self._left -= 1
        return Slot(self, slow)

    def release(self) -> None:
        """Makes a slot free for another call."""
        self._left += 1
        self._free()

    def record_duration(self, seconds: float) -> None:
        """Records how long a call took."""
        self._times_s.append(seconds)


class Slot:
    """The slot of one call; released when the call ends or is late."""

    def __init__(self, slots: Slots, slow: Callable[[], None]) -> None:
        self._slots = slots
        self._begun = monotonic()
        self._is_over = False
        later = asyncio.get_running_loop().call_later
        self._late = later(max(LATE_S, LATE_FACTOR * slots.typical_s), self._release)
        self._slow = later(max(SLOW_S, SLOW_FACTOR * slots.typical_s), slow)

    def end(self) -> None:
        """Records the end of the call and releases the slot."""
        self._late.cancel()
        self._slow.cancel()
        self._slots.record_duration(monotonic() - self._begun)
        self._release()

    def _release(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._slots.release()
