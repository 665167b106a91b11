"""The honest caller: gifts at a steady pace, however the server fares."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.gifts import Spread, gifts
from benchmarks.http2 import Connection
from benchmarks.load import UNARY
from benchmarks.pace import paced
from benchmarks.samples import percentile_ms

GIFTS_A_SECOND = 50
PATIENCE_S = 15


@dataclass(slots=True)
class Times:
    """How long gifts took, and how many were refused or never answered."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def p(self, percent: float) -> float:
        """A percentile in milliseconds."""
        return percentile_ms(sorted(self.seconds), percent)


class Honest:
    """One connection of one honest caller."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._times = Times()
        self._messages = gifts(Spread.UNIFORM)
        self._under_way = 0
        self._drained = asyncio.Event()

    async def connect(self) -> None:
        """Connects before any attack begins."""
        host, _, port = self._address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, self._connection = await loop.create_connection(
            lambda: Connection(UNARY, self._ended), host, int(port)
        )
        await asyncio.wait_for(self._connection.ready, PATIENCE_S)

    async def give(self, seconds: float, times: Times) -> None:
        """Adds what gifts take for so long."""
        self._times, self._drained = times, asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await paced(GIFTS_A_SECOND, self._send)
        self._end_if_drained()
        try:
            await asyncio.wait_for(self._drained.wait(), PATIENCE_S)
        except TimeoutError:
            times.failed += self._under_way
            self._connection.close()
            self._under_way = 0
            await self.connect()

    def _send(self, _: int) -> None:
        self._under_way += 1
        self._drained.clear()
        self._connection.call(next(self._messages))

    def _ended(self, connection: Connection, seconds: float, status: int) -> None:
        self._under_way -= 1
        if status == 0:
            self._times.seconds.append(seconds)
        else:
            self._times.failed += 1
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        if not self._under_way:
            self._drained.set()
