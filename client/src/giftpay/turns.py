"""Turns to have a call under way: how many there are, and when one has taken too long."""

import asyncio
from collections import deque
from collections.abc import Callable
from statistics import median
from time import monotonic

# A batch is answered as a whole: a gift whose row another session holds delays those beside it.
# Late and slow are so many times the usual, so that a server that is merely busy is left in peace.
LATE_S, LATE_TIMES = 0.2, 2  # the next batch waits no longer for the one before it
SLOW_S, SLOW_TIMES = 1.0, 5  # the gifts of a batch wait no longer for its answer
USUAL_OF = 9  # the last calls; their median is not moved by one that is stuck


class Turns:
    """So many calls may be under way."""

    def __init__(self, count: int, free: Callable[[], None]) -> None:
        self._left, self._free = count, free
        self._times_s: deque[float] = deque([0.0], maxlen=USUAL_OF)

    @property
    def is_one_left(self) -> bool:
        """Whether another call may be made now."""
        return self._left > 0

    @property
    def usual_s(self) -> float:
        """How long a call takes at present."""
        return median(self._times_s)

    def take(self, slow: Callable[[], None]) -> "Turn":
        """One of them; `slow` is called if it takes too long."""
        self._left -= 1
        return Turn(self, slow)

    def give_back(self) -> None:
        """It is free for another."""
        self._left += 1
        self._free()

    def note(self, seconds: float) -> None:
        """A call has taken so long."""
        self._times_s.append(seconds)


class Turn:
    """The right to have a call under way; it ends with the call, or when that is late."""

    def __init__(self, turns: Turns, slow: Callable[[], None]) -> None:
        self._turns = turns
        self._begun = monotonic()
        self._is_over = False
        later = asyncio.get_running_loop().call_later
        self._late = later(max(LATE_S, LATE_TIMES * turns.usual_s), self._give_back)
        self._slow = later(max(SLOW_S, SLOW_TIMES * turns.usual_s), slow)

    def end(self) -> None:
        """The call has ended."""
        self._late.cancel()
        self._slow.cancel()
        self._turns.note(monotonic() - self._begun)
        self._give_back()

    def _give_back(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._turns.give_back()
