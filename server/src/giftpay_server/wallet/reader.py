"""The one reader of an account in a process: caches its new entries and wakes its followers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import count

from giftpay_server.ledger.model import AccountKey
from giftpay_server.wallet.frames import Frame, FrameCache, heartbeat
from giftpay_server.wallet.wake_queue import Waiter, WakeQueue
from giftpay_server.wire.fields import InvalidArgumentError

EPOCHS: Iterator[int] = count(1)


class Reader:
    """The position of an account, its cached frames, and the followers that wait for more."""

    def __init__(
        self, account: AccountKey, tip: int, frames: FrameCache, wake_queue: WakeQueue
    ) -> None:
        self.account = account
        self.tip = tip  # the last seq that was read
        self.woken = asyncio.Event()
        self.followers = 0
        self.task: asyncio.Task[None]
        self.catching_up = asyncio.Lock()
        self.ended = False
        self.failure: Exception | None = None  # why it ended, unless the server stops
        self._frames = frames
        self._wake_queue = wake_queue
        self._epoch = next(EPOCHS)
        self._frame_starts: deque[int] = deque()  # of cached frames of new entries
        self._waiting: dict[Waiter, int] = {}  # with their positions, none below the tip

    async def wait(self, position: int, *, until: float) -> None:
        """Returns when there may be entries after the position, or at the time `until`."""
        loop = asyncio.get_running_loop()
        waiting: Waiter = loop.create_future()
        if position < self.tip or self.ended:
            self._wake_queue.wake([waiting])
            await waiting
            return
        if position > self.tip:
            self.woken.set()  # the follower was ahead at its start: read again
        self._waiting[waiting] = position
        timer = loop.call_at(until, self._wake_queue.wake, (waiting,))
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.pop(waiting, None)

    def ahead(self) -> list[Waiter]:
        """The waiters with a position that the reader has not reached yet."""
        return [waiting for waiting, position in self._waiting.items() if position > self.tip]

    def add(self, frame: Frame, *, now: float) -> list[Waiter]:
        """Caches new entries and wakes the waiters behind them."""
        self._frames.put(self._epoch, self.tip, frame, now=now)
        self._frame_starts.append(self.tip)
        self._drop_old_starts()
        self.tip = frame.last_seq
        waiters = [waiting for waiting, seq in self._waiting.items() if seq < self.tip]
        for waiting in waiters:
            del self._waiting[waiting]
        self._wake_queue.wake(waiters)
        return waiters

    def end_beyond(self, ahead: list[Waiter], last_seq: int) -> None:
        """Ends the followers whose position is beyond the account's last seq.

        `ahead` are those before the read: a later one may have seen entries that it did not.
        """
        if last_seq < self.tip:  # the database was restored to an earlier state
            ahead = list(self._waiting)
            self.tip, self._epoch = last_seq, next(EPOCHS)
            self._frame_starts.clear()
        for waiting in ahead:
            if self._waiting.get(waiting, 0) > last_seq and not waiting.done():
                waiting.set_exception(resume_error(last_seq))

    def stop(self, error: Exception | None) -> None:
        """Ends the reader and wakes all waiters."""
        self.ended, self.failure = True, error
        self._wake_queue.wake(list(self._waiting))

    def frame(self, position: int, *, now: float) -> Frame | None:
        """The cached entries after a position; a heartbeat at the tip; None if evicted."""
        if position >= self.tip:
            return heartbeat(position)
        self._frames.trim(now=now)
        if not self._frames.has(self._epoch, position):
            return None
        return self._frames.join(self._epoch, position)

    def add_old(self, position: int, frame: Frame, *, now: float) -> None:
        """Caches existing entries, for other followers at the same position."""
        self._frames.put(self._epoch, position, frame, now=now)

    def next_frame_start(self, position: int) -> int:
        """The start of the next cached frame after a position, or the tip."""
        self._drop_old_starts()
        return next((start for start in self._frame_starts if start > position), self.tip)

    def _drop_old_starts(self) -> None:
        while self._frame_starts and not self._frames.has(self._epoch, self._frame_starts[0]):
            self._frame_starts.popleft()


def resume_error(last_seq: int) -> InvalidArgumentError:
    """The error of a resume beyond the account's last seq."""
    return InvalidArgumentError("after_seq", f"0..{last_seq}")
