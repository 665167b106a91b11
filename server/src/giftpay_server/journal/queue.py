"""A bounded queue of commands that wait for their batch (backpressure)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from giftpay_server.config import Limits
from giftpay_server.ledger.model import Answer, Command

IN_FLIGHT_MAX = 2  # batches: one is written, the next one decided
GATHER_MAX = 16  # turns of the event loop, as long as each one brings more commands
WEIGHT_MAX = 4  # times `batch_max`: the bound of a batch's weight
PACE_OF = 9  # batches whose median is the pace; one that stalls does not move it


class OverloadedError(Exception):
    """The queue is full; nothing of the call was accepted."""


class ShuttingDownError(Exception):
    """No new commands are accepted."""


class Load(NamedTuple):
    """How much work a queue has."""

    queued: int  # commands
    in_flight: int  # batches


@dataclass(slots=True, eq=False)
class Waiting:
    """A queued command and the future of its answer."""

    command: Command
    answer: asyncio.Future[Answer]
    expires: float  # by the system's clock; it is posted before this or never


class CommandQueue:
    """Refuses at once what could not be served in time, and forms batches of the rest."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Waiting] = deque()
        self._wakeup = asyncio.Event()
        self._paces_s: deque[float] = deque([0.0], maxlen=PACE_OF)
        self._in_flight = 0  # batches
        self._last_end = 0.0
        self._closed = False

    def put(self, commands: Sequence[Command]) -> list[Waiting]:
        """Accepts all of the commands or none; raises OverloadedError or ShuttingDownError."""
        self.check(len(commands))
        loop, expires = asyncio.get_running_loop(), time.time() + self._limits.post_within_s
        waiting = [Waiting(command, loop.create_future(), expires) for command in commands]
        self._queue.extend(waiting)
        self._wakeup.set()
        return waiting

    @property
    def load(self) -> Load:
        """The commands that are queued and the batches that are in flight."""
        return Load(len(self._queue), self._in_flight)

    def check(self, more: int) -> None:
        """Raises as `put` does if so many more would not be accepted now."""
        if self._closed:
            raise ShuttingDownError
        if self._queue and self._is_full(more):
            raise OverloadedError(str(len(self._queue)))

    def _is_full(self, more: int) -> bool:
        full_batches = len(self._queue) // self._limits.batch_max
        return (
            len(self._queue) + more > self._limits.queue_max
            or full_batches * median(self._paces_s) > self._limits.wait_max_s
        )

    async def take(self) -> list[Waiting]:
        """Waits for the next batch and returns it; empty once the queue is closed and empty.

        Batches go one at a time, except that a full one may start while another is in flight.
        """
        while True:
            if self._is_next_due():
                await self._gather()
            if self._is_next_due() and (batch := self._next()):
                self._in_flight += 1
                return batch
            if self._closed and not self._queue:
                return []
            self._wakeup.clear()
            await self._wakeup.wait()

    async def _gather(self) -> None:
        # Includes commands that the event loop is about to deliver: larger batches cost less.
        for _ in range(GATHER_MAX):
            waiting = len(self._queue)
            await asyncio.sleep(0)
            if len(self._queue) == waiting:
                return

    def _is_next_due(self) -> bool:
        full = len(self._queue) >= self._limits.batch_max
        return not self._in_flight or (full and self._in_flight < IN_FLIGHT_MAX)

    def _next(self) -> list[Waiting]:
        batch: list[Waiting] = []
        weight = 0
        while self._queue and len(batch) < self._limits.batch_max:
            weight += self._queue[0].command.weight
            if batch and weight > WEIGHT_MAX * self._limits.batch_max:
                break
            waiting = self._queue.popleft()
            if not waiting.answer.done():  # otherwise its caller has cancelled
                batch.append(waiting)
        return batch

    def end_batch(self, begun: float) -> None:
        """Ends a batch that was taken at that time, and measures the pace."""
        now = time.monotonic()
        self._paces_s.append(now - max(begun, self._last_end))
        self._last_end = now
        self._in_flight -= 1
        self._wakeup.set()

    def drain(self) -> None:
        """Accepts no new commands; the queued ones are still served."""
        self._closed = True
        self._wakeup.set()

    def close(self) -> Sequence[Waiting]:
        """Accepts no new commands; returns the queued ones, which will not be served."""
        self.drain()
        left = list(self._queue)
        self._queue.clear()
        return left
