"""Gifts whose callers wait: each until it is decided, or its time is over."""

import asyncio
from enum import Enum, auto
from time import monotonic

import grpc

from giftpay.errors import GiftpayError, Keys
from giftpay.status import unanswered
from giftpay.turns import Turn
from giftpay.v1 import GiftOutcome


class Apart(Enum):
    """Why a gift is to go alone."""

    UNDECIDED = auto()  # nothing is under its key as yet, as far as this attempt goes
    UNKNOWN = auto()  # a batch with it may have been carried out


Decided = GiftOutcome | GiftpayError | Apart


class Waiting:
    """A gift, and where its caller waits for what becomes of it."""

    __slots__ = ("decided", "expires", "keys", "payload", "turn")

    def __init__(self, payload: bytes, keys: Keys, timeout_s: float) -> None:
        self.payload, self.keys = payload, keys
        self.expires = monotonic() + timeout_s
        self.decided: asyncio.Future[Decided]
        self.decided = asyncio.get_running_loop().create_future()
        self.turn: Turn | None = None  # if it goes alone, as nothing else waits

    @property
    def left_s(self) -> float:
        """How long its caller still waits."""
        return self.expires - monotonic()

    def settle(self, decided: Decided) -> None:
        """Wake the caller, unless it is gone."""
        if not self.decided.done():
            self.decided.set_result(decided)

    def expire(self) -> None:
        """Wake the caller, as its time is over."""
        cut = grpc.StatusCode.DEADLINE_EXCEEDED
        self.settle(unanswered(f"{cut.name}: Deadline Exceeded", self.keys, code=cut))


class Deadlines:
    """Wakes callers whose time is over: a timer for all of them, as all have the same time."""

    def __init__(self) -> None:
        self._gifts: dict[Waiting, None] = {}  # the first to come is the first to expire
        self._timer: asyncio.TimerHandle | None = None

    def add(self, gift: Waiting) -> None:
        """Watch over one that expires no sooner than those before it."""
        self._gifts[gift] = None
        if self._timer is None:
            self._set(gift.left_s)

    def discard(self, gift: Waiting) -> None:
        """It need not be woken any more."""
        del self._gifts[gift]

    def _set(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for gift in self._gifts:
            if (left_s := gift.left_s) > 0:
                self._set(left_s)
                break
            gift.expire()
