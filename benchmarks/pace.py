"""Open loops: calls a function at a steady rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter


async def paced(rate: float, act: Callable[[int], None]) -> None:
    """Acts at a rate until it is cancelled, and catches up after a delay."""
    started, made = perf_counter(), 0
    while True:
        due = int((perf_counter() - started) * rate) + 1
        for number in range(made, due):
            act(number)
        made = due
        await asyncio.sleep(max(0.0, started + made / rate - perf_counter()))
