"""The commands that wait for their batch, and the bounds on how many may."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from giftpay_server.ledger.model import Answer, Command

UNDER_WAY_MAX = 2  # batches: one is written, the next one decided
GATHER_MAX = 16  # turns of the event loop, as long as each brings more
WEIGHT_MAX = 4  # of accounts, rows and claims in a batch: so many times its commands
PACE_OF = 9  # the last batches; their median is not moved by one that stalled


class OverloadedError(Exception):
    """More waits than the bounds allow; nothing of the call was taken."""


class ShuttingDownError(Exception):
    """No new commands are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds on what waits."""

    batch_max: int = 1_000  # commands in one commit
    queue_max: int = 8_192  # commands waiting
    wait_max_s: float = 0.25  # for the full batches ahead of a command, at their current pace
    post_within_s: float = 60.0  # from when a command is taken to when it is posted, or never


@dataclass(slots=True, eq=False)
class Waiting:
    """A command, and where its answer is awaited."""

    command: Command
    answer: asyncio.Future[Answer]
    expires: float  # by the system's clock; posted until then or never


class CommandQueue:
    """Refuses at once what could not be served in time (backpressure)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Waiting] = deque()
        self._stirred = asyncio.Event()
        self._paces_s: deque[float] = deque([0.0], maxlen=PACE_OF)
        self._under_way = 0  # batches that are taken and not ended
        self._last_end = 0.0
        self._closed = False

    def put(self, commands: Sequence[Command]) -> list[Waiting]:
        """Takes all of the commands or none; raises OverloadedError or ShuttingDownError."""
        self.check(len(commands))
        loop, expires = asyncio.get_running_loop(), time.time() + self._limits.post_within_s
        waiting = [Waiting(command, loop.create_future(), expires) for command in commands]
        self._queue.extend(waiting)
        self._stirred.set()
        return waiting

    def check(self, more: int) -> None:
        """Whether so many more would be taken now; raises as `put`."""
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
        """The next batch, once its turn comes; empty when the room is closed and nobody waits.

        One batch at a time, but a full one goes while another is under way.
        """
        while True:
            if self._is_next_due():
                await self._gather()
            if self._is_next_due() and (batch := self._next()):
                self._under_way += 1
                return batch
            if self._closed and not self._queue:
                return []
            self._stirred.clear()
            await self._stirred.wait()

    async def _gather(self) -> None:
        # What the loop holds ready belongs to the next batch: fewer and larger batches cost less.
        for _ in range(GATHER_MAX):
            waiting = len(self._queue)
            await asyncio.sleep(0)
            if len(self._queue) == waiting:
                return

    def _is_next_due(self) -> bool:
        full = len(self._queue) >= self._limits.batch_max
        return not self._under_way or (full and self._under_way < UNDER_WAY_MAX)

    def _next(self) -> list[Waiting]:
        batch: list[Waiting] = []
        weight = 0
        while self._queue and len(batch) < self._limits.batch_max:
            weight += self._queue[0].command.weight
            if batch and weight > WEIGHT_MAX * self._limits.batch_max:
                break
            waiting = self._queue.popleft()
            if not waiting.answer.done():  # otherwise its caller has gone
                batch.append(waiting)
        return batch

    def ended(self, begun: float) -> None:
        """Notes that a batch, taken at that time, is under way no more."""
        now = time.monotonic()
        self._paces_s.append(now - max(begun, self._last_end))
        self._last_end = now
        self._under_way -= 1
        self._stirred.set()

    def drain(self) -> None:
        """Takes no new commands; those that wait are still to be served."""
        self._closed = True
        self._stirred.set()

    def close(self) -> Sequence[Waiting]:
        """Takes no new commands; those that wait will not be served, and are returned."""
        self.drain()
        left = list(self._queue)
        self._queue.clear()
        return left
