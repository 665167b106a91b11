"""The honest caller: gifts at a steady pace, however the server fares."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import grpc.aio

from benchmarks.gifts import Spread, gifts
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
    """One channel of one honest caller."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._send_gift: Any = channel.unary_unary(UNARY)
        self._messages = gifts(Spread.UNIFORM)
        self._under_way: set[asyncio.Task[None]] = set()

    async def give(self, seconds: float, times: Times) -> None:
        """Adds what gifts take for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await paced(GIFTS_A_SECOND, lambda _: self._begin(times))
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _begin(self, times: Times) -> None:
        task = asyncio.create_task(self._give_one(times))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _give_one(self, times: Times) -> None:
        begun = perf_counter()
        try:
            await self._send_gift(next(self._messages), timeout=PATIENCE_S)
        except grpc.aio.AioRpcError:
            times.failed += 1
        else:
            times.seconds.append(perf_counter() - begun)
