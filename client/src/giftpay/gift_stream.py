"""Sends gifts as they come and yields what became of each, over any number of streams."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import cast

from giftpay.channel import backoff_s
from giftpay.errors import GiftpayError, OutcomeUnknown
from giftpay.keys import name_commands
from giftpay.status import UNANSWERED, refusal_error
from giftpay.v1 import (
    GiftOutcome,
    GiftServiceStub,
    SendGiftRequest,
    StreamGiftsRequest,
    StreamGiftsResponse,
)

MESSAGE_MAX = 1000  # gifts

Gifts = Iterable[SendGiftRequest] | AsyncIterable[SendGiftRequest]
Outbox = asyncio.Queue[SendGiftRequest | None]  # None is the last


async def send_gifts(
    service: GiftServiceStub, gifts: Gifts, *, window: int, patience_s: float
) -> AsyncGenerator[GiftOutcome]:
    """The outcome of each gift as it is decided; at most `window` are under way at a time."""
    stream = GiftStream(service, window=window, patience_s=patience_s)
    work = asyncio.create_task(stream.send(gifts))
    try:
        while (outcome := await stream.outcomes.get()) is not None:
            stream.room.release()
            yield outcome
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


class GiftStream:
    """The gifts that are under way."""

    def __init__(self, service: GiftServiceStub, *, window: int, patience_s: float) -> None:
        self.outcomes: asyncio.Queue[GiftOutcome | None] = asyncio.Queue()  # None is the last
        self.room = asyncio.Semaphore(window)
        self._service = service
        self._patience_s = patience_s
        self._patience = asyncio.timeout(None)
        self._undecided: dict[str, SendGiftRequest] = {}
        self._outbox: Outbox = asyncio.Queue()
        self._news = asyncio.Event()
        self._all_taken = False
        self._source_error: Exception | None = None
        self._failures = 0

    async def send(self, gifts: Gifts) -> None:
        """Send all of them. An error of their source is raised once those before are decided."""
        taking = asyncio.create_task(self._take(gifts))
        try:
            await self._send_in_time()
            if self._source_error is not None:
                raise self._source_error
        finally:
            taking.cancel()
            self.outcomes.put_nowait(None)

    async def _take(self, gifts: Gifts) -> None:
        try:
            async for gift in each(gifts):
                await self.room.acquire()
                self._add(gift)
        except Exception as error:
            self._source_error = error
        self._all_taken = True
        self._outbox.put_nowait(None)
        self._expect_answer()
        self._news.set()

    def _add(self, gift: SendGiftRequest) -> None:
        [key] = name_commands([gift])
        if key in self._undecided:
            raise ValueError(f"The key {key} is under way already.")
        taken = SendGiftRequest()
        taken.CopyFrom(gift)  # what is sent again is what was sent, whatever the caller does
        self._undecided[key] = taken
        self._outbox.put_nowait(taken)
        if len(self._undecided) == 1:
            self._expect_answer()
        self._news.set()

    async def _send_in_time(self) -> None:
        try:
            async with self._patience:
                while await self._more():
                    await asyncio.sleep(backoff_s(self._failures - 1) if self._failures else 0)
                    await self._stream_until_lost()
        except TimeoutError:
            if self._undecided:
                message = f"No outcome for {self._patience_s} s."
                raise OutcomeUnknown(message, keys=tuple(self._undecided)) from None

    async def _more(self) -> bool:
        """Whether there is something to send, as soon as that is known."""
        while not self._undecided and not self._all_taken:
            self._news.clear()
            await self._news.wait()
        return bool(self._undecided)

    async def _stream_until_lost(self) -> None:
        """Send on one stream, beginning with all that is undecided, until it ends."""
        self._failures += 1
        outbox: Outbox = asyncio.Queue()
        self._outbox = outbox
        for gift in self._undecided.values():
            outbox.put_nowait(gift)
        if self._all_taken:
            outbox.put_nowait(None)
        try:
            await self._read(packed(outbox))
        except GiftpayError as error:
            if error.code not in UNANSWERED:
                error.keys = tuple(self._undecided)
                raise
        finally:
            outbox.put_nowait(None)

    async def _read(self, requests: AsyncIterator[StreamGiftsRequest]) -> None:
        # The stub's type promises a grpc call; `StreamRpc` makes it a generator.
        stream = cast(AsyncGenerator[StreamGiftsResponse], self._service.StreamGifts(requests))
        async with aclosing(stream):
            async for response in stream:
                decided = [self._decide(outcome) for outcome in response.outcomes]
                if any(decided):
                    self._expect_answer()
                if not all(decided):
                    return

    def _decide(self, outcome: GiftOutcome) -> bool:
        """Pass the outcome on, unless it is that there is none: the gift is sent again."""
        refused = outcome.HasField("refusal") and refusal_error(outcome.refusal)
        if isinstance(refused, OutcomeUnknown):
            return False
        if self._undecided.pop(outcome.idempotency_key, None):
            self._failures = 0
            self.outcomes.put_nowait(outcome)
        return True

    def _expect_answer(self) -> None:
        """From now on, the server has so long to answer, if it owes an answer."""
        owed = self._undecided or self._all_taken
        now = asyncio.get_running_loop().time()
        self._patience.reschedule(now + self._patience_s if owed else None)


async def packed(outbox: Outbox) -> AsyncIterator[StreamGiftsRequest]:
    """What waits, in as few messages as possible."""
    last = False
    while not last:
        waiting = [await outbox.get()]
        while len(waiting) < MESSAGE_MAX and not outbox.empty():
            waiting.append(outbox.get_nowait())
        gifts = [gift for gift in waiting if gift is not None]
        last = len(gifts) < len(waiting)
        if gifts:
            yield StreamGiftsRequest(gifts=gifts)


async def each(gifts: Gifts) -> AsyncIterator[SendGiftRequest]:
    """The gifts, whichever way they come."""
    if isinstance(gifts, AsyncIterable):
        async for gift in gifts:
            yield gift
    else:
        for gift in gifts:
            yield gift
