"""Gifts that wait for an outcome, and their deadlines."""

import asyncio
from enum import Enum, auto
from time import monotonic

import grpc

from giftpay.errors import GiftpayError, Keys
from giftpay.slots import Slot
from giftpay.status import unanswered
from giftpay.v1 import GiftOutcome


class AloneReason(Enum):
    """Why a gift is sent alone."""

    UNDECIDED = auto()  # this attempt decided nothing
    UNKNOWN = auto()  # its batch may have been carried out


Decided = GiftOutcome | GiftpayError | AloneReason


class WaitingGift:
    """A gift, and the future that its caller awaits."""

    __slots__ = ("decided", "expires", "keys", "payload", "slot")

    def __init__(self, payload: bytes, keys: Keys, timeout_s: float) -> None:
        self.payload, self.keys = payload, keys
        self.expires = monotonic() + timeout_s
        self.decided: asyncio.Future[Decided]
        self.decided = asyncio.get_running_loop().create_future()
        self.slot: Slot | None = None  # of a gift that is sent alone, as no other one waits

    @property
    def left_s(self) -> float:
        """The time until its deadline."""
        return self.expires - monotonic()

    def settle(self, decided: Decided) -> None:
        """Wake the caller with the result, unless it has left."""
        if not self.decided.done():
            self.decided.set_result(decided)

    def expire(self) -> None:
        """Wake the caller with DEADLINE_EXCEEDED."""
        cut = grpc.StatusCode.DEADLINE_EXCEEDED
        self.settle(unanswered(f"{cut.name}: Deadline Exceeded", self.keys, code=cut))


class Deadlines:
    """Wakes callers at their deadlines. One timer is enough: all have the same timeout."""

    def __init__(self) -> None:
        self._gifts: dict[WaitingGift, None] = {}  # in the order of their deadlines
        self._timer: asyncio.TimerHandle | None = None

    def add(self, gift: WaitingGift) -> None:
        """Add a gift, whose deadline is not before those of the others."""
        self._gifts[gift] = None
        if self._timer is None:
            self._set(gift.left_s)

    def discard(self, gift: WaitingGift) -> None:
        """Remove a gift that has a result."""
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
