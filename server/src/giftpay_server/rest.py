"""A duty cycle of one half for long work on the event loop: each step is followed by a rest.

A single `sleep(0)` is not enough: a command takes several turns of the loop.
"""

from __future__ import annotations

import asyncio
from time import thread_time

TIMER_S = 0.001  # what the loop's timers are exact to


class Rest:
    """The rest that a piece of work owes."""

    def __init__(self) -> None:
        self._owed = 0.0
        self._begun = 0.0

    def begin(self) -> None:
        """Begins a step."""
        self._begun = thread_time()  # not what other processes took meanwhile

    async def take(self) -> None:
        """Ends the step and rests for as long as the steps took."""
        self._owed += thread_time() - self._begun
        pause = self._owed if self._owed >= TIMER_S else 0.0
        self._owed -= pause
        await asyncio.sleep(pause)
