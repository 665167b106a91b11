"""Gathers gifts that are under way together into batches, and hands out what becomes of each.

There is no timer: what comes while batches are under way is the next batch. What a batch could not
answer goes alone, under the same key.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from giftpay.errors import GiftpayError, Keys, Refused
from giftpay.gift_outcomes import is_paired, outcome_answer, packed
from giftpay.limits import REQUEST_MAX_BYTES
from giftpay.status import as_unknown, may_pass
from giftpay.turns import Turn, Turns
from giftpay.unary import Attempt
from giftpay.v1 import BatchSendGiftsResponse, GiftOutcome, SendGiftResponse
from giftpay.waiting_gifts import Apart, Deadlines, Decided, Waiting

GIFTS_MAX = 1000  # as many as the server takes in a batch
FRAME_BYTES = 6  # at most, of a gift in a batch: its tag and its length
GATHER_MAX = 16  # turns of the event loop, as long as each brings more

SendBatch = Callable[[bytes, float], Awaitable[BatchSendGiftsResponse]]  # within so many seconds


class GiftBatches:
    """Gathers gifts and sends them in batches."""

    def __init__(self, send: SendBatch, *, under_way_max: int) -> None:
        self._send = send
        self._turns = Turns(under_way_max, self._stir)
        self._waiting: deque[Waiting] = deque()
        self._deadlines = Deadlines()
        self._gathering = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def attempt(
        self, payload: bytes, keys: Keys, alone: Attempt[SendGiftResponse], timeout_s: float
    ) -> SendGiftResponse:
        """Send a serialised gift in a batch, or `alone`; raises what SendGift would."""
        gift = Waiting(payload, keys, timeout_s)
        self._waiting.append(gift)
        self._deadlines.add(gift)
        self._stir()
        try:
            match _answer(await gift.decided, keys):
                case SendGiftResponse() as response:
                    return response
                case Apart() as why:
                    return await _sent_alone(gift, alone, why)
                case error:
                    raise error
        finally:
            self._deadlines.discard(gift)
            if gift.turn is not None:
                gift.turn.end()

    def cancel(self) -> None:
        """Cancel what waits; what is under way ends with its connection."""
        for gift in self._waiting:
            gift.decided.cancel()

    def _stir(self) -> None:
        """See to it that what waits departs, once there is a turn."""
        if self._waiting and not self._gathering and self._turns.is_one_left:
            self._gathering = True
            self._gather_on(GATHER_MAX)

    def _gather_on(self, turns: int) -> None:
        asyncio.get_running_loop().call_soon(self._gather, turns - 1, len(self._waiting))

    def _gather(self, turns: int, before: int) -> None:
        if turns and len(self._waiting) > before:
            self._gather_on(turns)  # what is ready together goes together
            return
        self._gathering = False
        while self._turns.is_one_left and (gifts := self._next()):
            self._depart(gifts)

    def _next(self) -> list[Waiting]:
        gifts: list[Waiting] = []
        left = REQUEST_MAX_BYTES
        while self._waiting and len(gifts) < GIFTS_MAX:
            gift = self._waiting[0]
            if not gift.decided.done():  # otherwise its caller is gone
                left -= FRAME_BYTES + len(gift.payload)
                if gifts and left < 0:
                    break
                gifts.append(gift)
            self._waiting.popleft()
        return gifts

    def _depart(self, gifts: list[Waiting]) -> None:
        turn = self._turns.take(partial(_settle_all, gifts, Apart.UNKNOWN))
        if len(gifts) == 1:
            gifts[0].turn = turn
            gifts[0].settle(Apart.UNDECIDED)
            return
        task = asyncio.create_task(self._carry(gifts, turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, gifts: Sequence[Waiting], turn: Turn) -> None:
        """Send a batch and settle each of its gifts."""
        try:
            payload = packed([gift.payload for gift in gifts])
            response = await self._send(payload, max(gift.left_s for gift in gifts))
            _settle(gifts, response)
        except asyncio.CancelledError:
            for gift in gifts:
                gift.decided.cancel()
            raise
        except Exception as error:
            for gift in gifts:
                gift.settle(_after(error, gift))
        finally:
            turn.end()


def _answer(decided: Decided, keys: Keys) -> SendGiftResponse | GiftpayError | Apart:
    if isinstance(decided, GiftOutcome):
        return outcome_answer(decided, keys) or Apart.UNDECIDED
    return decided


async def _sent_alone(
    gift: Waiting, alone: Attempt[SendGiftResponse], why: Apart
) -> SendGiftResponse:
    try:
        return await alone(gift.left_s)
    except GiftpayError as error:
        if why is Apart.UNKNOWN and isinstance(error, Refused) and not error.pinned:
            raise as_unknown(error, gift.keys) from error
        raise


def _settle(gifts: Sequence[Waiting], response: BatchSendGiftsResponse) -> None:
    if is_paired([gift.keys for gift in gifts], response.outcomes):
        for gift, outcome in zip(gifts, response.outcomes, strict=True):
            gift.settle(outcome)
    else:
        _settle_all(gifts, Apart.UNKNOWN)


def _settle_all(gifts: Sequence[Waiting], decided: Decided) -> None:
    for gift in gifts:
        gift.settle(decided)


def _after(error: Exception, gift: Waiting) -> GiftpayError | Apart:
    """What a gift comes to whose batch ended so."""
    if isinstance(error, Refused):
        return Apart.UNDECIDED
    if isinstance(error, GiftpayError) and may_pass(error):
        lost = as_unknown(error, gift.keys)
        lost.__cause__ = error.__cause__
        return lost
    return Apart.UNKNOWN
