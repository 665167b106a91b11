"""Sends gifts as they arrive and yields the outcome of each, over any number of streams."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import NamedTuple

from giftpay.checks import check_size, check_type
from giftpay.errors import GiftpayError, OutcomeUnknown
from giftpay.keys import name_commands
from giftpay.limits import REQUEST_MAX_BYTES
from giftpay.rpcs import BidiStream
from giftpay.status import is_transient, refusal_error, with_unknown_outcome
from giftpay.unary import backoff_s
from giftpay.v1 import GiftOutcome, SendGiftRequest, StreamGiftsRequest, StreamGiftsResponse

MESSAGE_MAX = 1000  # gifts
FRAME_BYTES = 8  # at most, around each gift in a message

Gifts = Iterable[SendGiftRequest] | AsyncIterable[SendGiftRequest]
StreamGifts = BidiStream[StreamGiftsRequest, StreamGiftsResponse]


class TakenGift(NamedTuple):
    """A copy of a gift, for resends: the caller may change the original meanwhile."""

    gift: SendGiftRequest
    size: int


Outbox = asyncio.Queue[TakenGift | None]  # None marks the end


async def send_gifts(
    rpc: StreamGifts, gifts: Gifts, *, window: int, timeout_s: float
) -> AsyncGenerator[GiftOutcome]:
    """The outcome of each gift as it is decided; at most `window` are in flight at a time."""
    stream = GiftStream(rpc, window=window, timeout_s=timeout_s)
    work = asyncio.create_task(stream.send(gifts))
    try:
        while (outcome := await stream.outcomes.get()) is not None:
            stream.free_slots.release()
            yield outcome
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


class GiftStream:
    """The gifts in flight, and the stream that they are sent on."""

    def __init__(self, rpc: StreamGifts, *, window: int, timeout_s: float) -> None:
        self.outcomes: asyncio.Queue[GiftOutcome | None] = asyncio.Queue()  # None marks the end
        self.free_slots = asyncio.Semaphore(window)
        self._rpc = rpc
        self._timeout_s = timeout_s
        self._deadline = asyncio.timeout(None)
        self._undecided: dict[str, TakenGift] = {}
        self._outbox: Outbox = asyncio.Queue()
        self._changed = asyncio.Event()
        self._all_taken = False
        self._source_error: BaseException | None = None
        self._last_error: GiftpayError | None = None
        self._failures = 0
        self._messages = 0  # sent since nothing was undecided

    async def send(self, gifts: Gifts) -> None:
        """Send all gifts. An error of the iterable is raised once those before it are decided."""
        taking = asyncio.create_task(self._take(gifts))
        try:
            await self._send_within_timeout()
            if self._source_error is not None:
                raise self._source_error
        finally:
            taking.cancel()
            self.outcomes.put_nowait(None)

    async def _take(self, gifts: Gifts) -> None:
        try:
            async for gift in iterate_gifts(gifts):
                await self.free_slots.acquire()
                self._add(gift)
        except (Exception, asyncio.CancelledError) as error:
            if _is_cancelled():
                raise
            self._source_error = error  # also where what the source itself waits for is cancelled
        self._all_taken = True
        self._outbox.put_nowait(None)
        self._restart_deadline()
        self._changed.set()

    def _add(self, gift: SendGiftRequest) -> None:
        check_type(gift, SendGiftRequest, "send_gifts")
        [key] = name_commands([gift])
        if key in self._undecided:
            raise ValueError(f"The key {key} is in flight already.")
        copy = SendGiftRequest()
        copy.CopyFrom(gift)
        taken = TakenGift(copy, copy.ByteSize() + FRAME_BYTES)
        check_size(taken.size, (key,))
        self._undecided[key] = taken
        self._outbox.put_nowait(taken)
        if len(self._undecided) == 1:
            self._restart_deadline()
        self._changed.set()

    async def _send_within_timeout(self) -> None:
        try:
            async with self._deadline:
                while await self._has_more():
                    await asyncio.sleep(backoff_s(self._failures - 1) if self._failures else 0)
                    await self._stream_until_lost()
        except TimeoutError:
            if self._undecided:
                last = f" ({self._last_error.message})" if self._last_error else ""
                message = f"No outcome for {self._timeout_s} s.{last}"
                raise OutcomeUnknown(message, keys=tuple(self._undecided)) from self._last_error

    async def _has_more(self) -> bool:
        """Whether there is a gift to send; waits until that is known."""
        while not self._undecided and not self._all_taken:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._undecided)

    async def _stream_until_lost(self) -> None:
        """Send on one stream, undecided gifts first, until it ends."""
        self._failures += 1
        was_sent = self._messages > 0
        outbox: Outbox = asyncio.Queue()
        self._outbox = outbox
        for gift in self._undecided.values():
            outbox.put_nowait(gift)
        if self._all_taken:
            outbox.put_nowait(None)
        try:
            await self._read(self._counted(batched(outbox)))
        except GiftpayError as error:
            if not is_transient(error):
                raise self._final(error, was_sent=was_sent) from error.__cause__
            self._last_error = error
        finally:
            outbox.put_nowait(None)

    async def _counted(
        self, messages: AsyncIterator[StreamGiftsRequest]
    ) -> AsyncIterator[StreamGiftsRequest]:
        async for message in messages:
            self._messages += 1
            yield message

    def _final(self, error: GiftpayError, *, was_sent: bool) -> GiftpayError:
        """The error that all of it ends with, as a stream ended with this one."""
        error.keys = tuple(self._undecided)
        # It is about the last message alone; earlier ones may have been carried out.
        return with_unknown_outcome(error, error.keys) if was_sent or self._messages > 1 else error

    async def _read(self, requests: AsyncIterator[StreamGiftsRequest]) -> None:
        async with aclosing(self._rpc(requests)) as stream:
            async for response in stream:
                decided = [self._decide(outcome) for outcome in response.outcomes]
                if any(decided):
                    self._restart_deadline()
                if not all(decided):
                    return

    def _decide(self, outcome: GiftOutcome) -> bool:
        """Pass an outcome on; False if it is unknown, so that the gift is sent again."""
        refused = outcome.HasField("refusal") and refusal_error(outcome.refusal)
        if isinstance(refused, OutcomeUnknown):
            return False
        if self._undecided.pop(outcome.idempotency_key, None):
            self._failures, self._last_error = 0, None
            self.outcomes.put_nowait(outcome)
        if not self._undecided:
            self._messages = 0
        return True

    def _restart_deadline(self) -> None:
        """Restart the server's time to answer, if it owes an answer."""
        owed = self._undecided or self._all_taken
        now = asyncio.get_running_loop().time()
        self._deadline.reschedule(now + self._timeout_s if owed else None)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def batched(outbox: Outbox) -> AsyncIterator[StreamGiftsRequest]:
    """The queued gifts, in as few messages as possible."""
    gifts: list[SendGiftRequest] = []
    size = 0
    while (taken := await outbox.get()) is not None:
        if gifts and (len(gifts) == MESSAGE_MAX or size + taken.size > REQUEST_MAX_BYTES):
            yield StreamGiftsRequest(gifts=gifts)
            gifts, size = [], 0
        gifts.append(taken.gift)
        size += taken.size
        if outbox.empty():
            yield StreamGiftsRequest(gifts=gifts)
            gifts, size = [], 0
    if gifts:
        yield StreamGiftsRequest(gifts=gifts)


async def iterate_gifts(gifts: Gifts) -> AsyncIterator[SendGiftRequest]:
    """The gifts of an iterable of either kind."""
    if isinstance(gifts, AsyncIterable):
        async for gift in gifts:
            yield gift
    else:
        for gift in gifts:
            yield gift
