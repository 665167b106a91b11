"""Wakes many waiters without blocking the event loop: a few at a time, with a rest between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from giftpay_server.rest import Rest

AT_ONCE = 8  # each then passes a message to gRPC, which takes about 0.1 ms

Waiter = asyncio.Future[None]


class WakeQueue:
    """A FIFO queue of the followers of all accounts that are ready to send."""

    def __init__(self) -> None:
        self._queue: deque[Waiter] = deque()
        self._waking: asyncio.Task[None] | None = None

    def wake(self, waiting: Iterable[Waiter]) -> None:
        """Queues waiters; those that are woken already or have left are skipped."""
        self._queue.extend(waiting)
        if self._queue and self._waking is None:
            self._waking = asyncio.create_task(self._wake_all())

    async def _wake_all(self) -> None:
        rest = Rest()
        while self._queue:
            rest.begin()
            self._wake_some()
            await asyncio.sleep(0)  # the woken ones run before us
            await rest.take()
        self._waking = None

    def _wake_some(self) -> None:
        left = AT_ONCE
        while self._queue and left:
            waiting = self._queue.popleft()
            if not waiting.done():
                waiting.set_result(None)
                left -= 1
