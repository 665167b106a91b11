"""Gathers concurrent gifts into batches, and returns the outcome of each to its caller.

There is no timer: gifts that arrive while batches are in flight form the next batch. A gift that
its batch could not answer is sent alone, with the same key.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from giftpay.errors import GiftpayError, Keys, Refused
from giftpay.gift_outcomes import is_paired, outcome_answer, serialized_batch
from giftpay.limits import REQUEST_MAX_BYTES
from giftpay.slots import Slot, Slots
from giftpay.status import is_transient, with_unknown_outcome
from giftpay.unary import Attempt
from giftpay.v1 import BatchSendGiftsResponse, GiftOutcome, SendGiftResponse
from giftpay.waiting_gifts import AloneReason, Deadlines, Decided, WaitingGift

GIFTS_MAX = 1000  # that the server accepts in a batch
FRAME_BYTES = 6  # at most, of a gift in a batch: its tag and its length
GATHER_MAX = 16  # iterations of the event loop to wait, as long as each adds gifts

SendBatch = Callable[[bytes, float], Awaitable[BatchSendGiftsResponse]]  # payload, timeout in s


class GiftBatches:
    """Gathers gifts and sends them in batches."""

    def __init__(self, send: SendBatch, *, in_flight_max: int) -> None:
        self._send = send
        self._slots = Slots(in_flight_max, self._start_gathering)
        self._waiting: deque[WaitingGift] = deque()
        self._deadlines = Deadlines()
        self._gathering = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def attempt(
        self, payload: bytes, keys: Keys, alone: Attempt[SendGiftResponse], timeout_s: float
    ) -> SendGiftResponse:
        """Send a serialized gift in a batch, or by `alone`; raises what SendGift would."""
        gift = WaitingGift(payload, keys, timeout_s)
        self._waiting.append(gift)
        self._deadlines.add(gift)
        self._start_gathering()
        try:
            match _result(await gift.decided, keys):
                case SendGiftResponse() as response:
                    return response
                case AloneReason() as why:
                    return await _sent_alone(gift, alone, why)
                case error:
                    raise error
        finally:
            self._deadlines.discard(gift)
            if gift.slot is not None:
                gift.slot.end()

    def cancel(self) -> None:
        """Cancel the gifts that wait; those in flight end with their connection."""
        for gift in self._waiting:
            gift.decided.cancel()

    def _start_gathering(self) -> None:
        """Start to gather a batch if gifts wait and a slot is free."""
        if self._waiting and not self._gathering and self._slots.has_free_slot:
            self._gathering = True
            self._gather_soon(GATHER_MAX)

    def _gather_soon(self, iterations: int) -> None:
        asyncio.get_running_loop().call_soon(self._gather, iterations - 1, len(self._waiting))

    def _gather(self, iterations: int, before: int) -> None:
        if iterations and len(self._waiting) > before:
            self._gather_soon(iterations)  # callers that are ready together share a batch
            return
        self._gathering = False
        while self._slots.has_free_slot and (gifts := self._next()):
            self._dispatch(gifts)

    def _next(self) -> list[WaitingGift]:
        gifts: list[WaitingGift] = []
        left = REQUEST_MAX_BYTES
        while self._waiting and len(gifts) < GIFTS_MAX:
            gift = self._waiting[0]
            if not gift.decided.done():  # otherwise its caller has left
                left -= FRAME_BYTES + len(gift.payload)
                if gifts and left < 0:
                    break
                gifts.append(gift)
            self._waiting.popleft()
        return gifts

    def _dispatch(self, gifts: list[WaitingGift]) -> None:
        slot = self._slots.take(partial(_settle_all, gifts, AloneReason.UNKNOWN))
        if len(gifts) == 1:
            gifts[0].slot = slot
            gifts[0].settle(AloneReason.UNDECIDED)
            return
        task = asyncio.create_task(self._send_batch(gifts, slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_batch(self, gifts: Sequence[WaitingGift], slot: Slot) -> None:
        """Send a batch and return a result to each of its callers."""
        try:
            payload = serialized_batch([gift.payload for gift in gifts])
            response = await self._send(payload, max(gift.left_s for gift in gifts))
            _settle(gifts, response)
        except asyncio.CancelledError:
            for gift in gifts:
                gift.decided.cancel()
            raise
        except Exception as error:
            for gift in gifts:
                gift.settle(_result_after(error, gift))
        finally:
            slot.end()


def _result(decided: Decided, keys: Keys) -> SendGiftResponse | GiftpayError | AloneReason:
    if isinstance(decided, GiftOutcome):
        return outcome_answer(decided, keys) or AloneReason.UNDECIDED
    return decided


async def _sent_alone(
    gift: WaitingGift, alone: Attempt[SendGiftResponse], why: AloneReason
) -> SendGiftResponse:
    try:
        return await alone(gift.left_s)
    except GiftpayError as error:
        if why is AloneReason.UNKNOWN and isinstance(error, Refused) and not error.pinned:
            raise with_unknown_outcome(error, gift.keys) from error
        raise


def _settle(gifts: Sequence[WaitingGift], response: BatchSendGiftsResponse) -> None:
    if is_paired([gift.keys for gift in gifts], response.outcomes):
        for gift, outcome in zip(gifts, response.outcomes, strict=True):
            gift.settle(outcome)
    else:
        _settle_all(gifts, AloneReason.UNKNOWN)


def _settle_all(gifts: Sequence[WaitingGift], decided: Decided) -> None:
    for gift in gifts:
        gift.settle(decided)


def _result_after(error: Exception, gift: WaitingGift) -> GiftpayError | AloneReason:
    """The result of a gift whose batch failed with this error."""
    if isinstance(error, Refused):
        return AloneReason.UNDECIDED
    if isinstance(error, GiftpayError) and is_transient(error):
        lost = with_unknown_outcome(error, gift.keys)
        lost.__cause__ = error.__cause__
        return lost
    return AloneReason.UNKNOWN
