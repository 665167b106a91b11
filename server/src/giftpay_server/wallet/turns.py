"""Waking many without keeping the loop: a few at a time, and a rest after each few."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from giftpay_server.rest import Rest

AT_ONCE = 8  # each then hands a message to gRPC, which takes about 0.1 ms

Waiting = asyncio.Future[None]


class Turns:
    """A line of all who wait to send something, over all accounts; who comes again comes last."""

    def __init__(self) -> None:
        self._line: deque[Waiting] = deque()
        self._calling: asyncio.Task[None] | None = None

    def call(self, waiting: Iterable[Waiting]) -> None:
        """Puts them in the line; whoever was called or went meanwhile is passed over."""
        self._line.extend(waiting)
        if self._line and self._calling is None:
            self._calling = asyncio.create_task(self._call_all())

    async def _call_all(self) -> None:
        rest = Rest()
        while self._line:
            rest.begin()
            self._call_some()
            await asyncio.sleep(0)  # they go on before us
            await rest.take()
        self._calling = None

    def _call_some(self) -> None:
        left = AT_ONCE
        while self._line and left:
            waiting = self._line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                left -= 1
