"""The one reader of an account in a process: looks when the account moved, wakes who follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import count

from giftpay_server.ledger.model import AccountKey
from giftpay_server.wallet.pieces import Frame, Pieces, heartbeat
from giftpay_server.wallet.turns import Turns, Waiting
from giftpay_server.wire.fields import InvalidArgumentError

BOOKS: Iterator[int] = count(1)


class Reader:
    """Where an account stands, what of it is kept, and who waits for more of it."""

    def __init__(self, account: AccountKey, tip: int, pieces: Pieces, turns: Turns) -> None:
        self.account = account
        self.tip = tip  # the last seq that was looked at
        self.woken = asyncio.Event()
        self.followers = 0
        self.task: asyncio.Task[None]
        self.catching_up = asyncio.Lock()
        self.ended = False
        self.failure: Exception | None = None  # why, unless the server stops
        self._pieces = pieces
        self._turns = turns
        self._book = next(BOOKS)
        self._joints: deque[int] = deque()  # where kept frames of what is new begin
        self._parked: dict[Waiting, int] = {}  # and their positions: none below the tip
        self._joined: tuple[int, int, Frame] | None = None  # the last: from where, to which tip

    async def turn(self, position: int, *, until: float) -> None:
        """Returns when there may be something after the position, or it is `until`."""
        loop = asyncio.get_running_loop()
        waiting: Waiting = loop.create_future()
        if position < self.tip or self.ended:
            self._turns.call([waiting])
            await waiting
            return
        if position > self.tip:
            self.woken.set()  # it was read elsewhere before we looked
        self._parked[waiting] = position
        timer = loop.call_at(until, self._turns.call, (waiting,))
        try:
            await waiting
        finally:
            timer.cancel()
            self._parked.pop(waiting, None)

    def ahead(self) -> list[Waiting]:
        """Who waits to see the reader reach a position that it has not yet."""
        return [waiting for waiting, position in self._parked.items() if position > self.tip]

    def move(self, frame: Frame, *, now: float) -> list[Waiting]:
        """Keeps what is new and calls who waits for it."""
        self._pieces.put(self._book, self.tip, frame, now=now)
        self._joints.append(self.tip)
        self._drop_joints()
        self.tip = frame.last_seq
        called = [waiting for waiting, seq in self._parked.items() if seq < self.tip]
        for waiting in called:
            del self._parked[waiting]
        self._turns.call(called)
        return called

    def end(self, ahead: list[Waiting], last_seq: int) -> None:
        """Ends who is beyond the account's own end.

        `ahead` were so before the look; who came meanwhile may have read what it did not see.
        """
        if last_seq < self.tip:  # the database was restored to before what was sent
            ahead = list(self._parked)
            self.tip, self._book = last_seq, next(BOOKS)
            self._joints.clear()
            self._joined = None
        for waiting in ahead:
            if self._parked.get(waiting, 0) > last_seq and not waiting.done():
                waiting.set_exception(beyond(last_seq))

    def stop(self, error: Exception | None) -> None:
        """Calls everybody for the last time."""
        self.ended, self.failure = True, error
        self._turns.call(list(self._parked))

    def frame(self, position: int, *, now: float) -> Frame | None:
        """What follows a position as far as it is kept; without entries where nothing follows."""
        if position >= self.tip:
            return heartbeat(position)
        self._pieces.trim(now=now)
        if not self._pieces.has(self._book, position):
            return None
        if self._joined is None or self._joined[:2] != (position, self.tip):
            self._joined = position, self.tip, self._pieces.joined(self._book, position)
        return self._joined[2]

    def keep(self, position: int, frame: Frame, *, now: float) -> None:
        """Keeps what was read of the past, for others at the same position."""
        self._pieces.put(self._book, position, frame, now=now)

    def next_joint(self, position: int) -> int:
        """Where what is kept begins after a position, or else the tip."""
        self._drop_joints()
        return next((joint for joint in self._joints if joint > position), self.tip)

    def _drop_joints(self) -> None:
        while self._joints and not self._pieces.has(self._book, self._joints[0]):
            self._joints.popleft()


def beyond(last_seq: int) -> InvalidArgumentError:
    """Why nothing follows a seq beyond the account's end."""
    return InvalidArgumentError("after_seq", f"0..{last_seq}")
