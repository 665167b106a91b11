"""Measures the resident memory of a process under load and at rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

EVERY_S = 0.25
MIB = 1 << 20
STILL_S = 3  # without getting smaller, until it is believed
STILL_MAX_S = 20


class Memory:
    """The resident memory of one process, in MiB."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._process = psutil.Process(pid)

    def now(self) -> float:
        """What it holds."""
        held = float(self._process.memory_info().rss) / MIB
        self.peak = max(self.peak, held)
        return held

    async def at_rest(self) -> float:
        """What it holds once it gives nothing more back."""
        least, loop = self.now(), asyncio.get_running_loop()
        last = since = loop.time()
        while loop.time() < min(last + STILL_S, since + STILL_MAX_S):
            await asyncio.sleep(EVERY_S)
            if (held := self.now()) < least - 1:
                least, last = held, loop.time()
        return min(least, self.now())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keeps the peak meanwhile."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            self.now()
            await asyncio.sleep(EVERY_S)
