"""Sends many gifts in one call, each with an outcome of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from giftpay.v1 import GiftOutcome, SendGiftRequest, StreamGiftsRequest, StreamGiftsResponse

from giftpay_server.gift.messages import fill_gift, gift_command
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.queue import OverloadedError
from giftpay_server.ledger.model import Answer, Command, Outcome
from giftpay_server.ledger.replay import personal_value
from giftpay_server.wire.bounds import violations
from giftpay_server.wire.commands import ask_in_place
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.guard import refusal_from
from giftpay_server.wire.identity import Call
from giftpay_server.wire.refusals import refusal_of

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    Outcomes = RepeatedCompositeFieldContainer[GiftOutcome]

GIFTS_MAX = 1_000  # in flight in one stream: its flow-control window
PAUSE_S = 0.05  # before a stream retries gifts for which the journal's queue was full


async def send_gifts(
    journal: Journal, gifts: Sequence[SendGiftRequest], call: Call, outcomes: Outcomes
) -> None:
    """Sends gifts and adds their outcomes in their order; raises only if none was accepted."""
    journal.check_capacity(len(gifts))
    keys = [gift.idempotency_key for gift in gifts]
    parsed = [_parse(gift, call) for gift in gifts]
    commands = [item for item in parsed if isinstance(item, Command)]
    answers = iter(await journal.record_all(commands) if commands else ())
    for key, item in zip(keys, parsed, strict=True):
        outcome = outcomes.add(idempotency_key=key)
        if isinstance(item, Command):
            _fill_outcome(outcome, item, next(answers))
        else:
            outcome.refusal.CopyFrom(refusal_from(item))


def _parse(gift: SendGiftRequest, call: Call) -> Command | InvalidArgumentError:
    if gift.validate_only:
        return InvalidArgumentError("validate_only", "false in a batch or a stream")
    for malformed in violations(gift):
        return malformed
    # In place, since copying takes 4 % of a batch's time. The queue has capacity for the batch, so
    # that no request is parsed twice.
    return gift_command(ask_in_place(gift, call))


def _fill_outcome(outcome: GiftOutcome, command: Command, answer: Answer | BaseException) -> None:
    if isinstance(answer, BaseException):
        outcome.refusal.CopyFrom(refusal_from(answer))
        return
    outcome.replayed = isinstance(answer, Outcome) and answer.replayed
    if isinstance(answer, Outcome) and not answer.transaction.reason:
        request = cast(SendGiftRequest, command.request)
        message = personal_value(command, answer.transaction)
        fill_gift(outcome.gift, request, answer.transaction, message=message)
    else:
        outcome.refusal.CopyFrom(refusal_of(answer))


async def stream_gifts(
    journal: Journal, requests: AsyncIterator[StreamGiftsRequest], call: Call
) -> AsyncGenerator[StreamGiftsResponse, None]:
    """Yields outcomes of a stream's gifts as they commit; reads on while fewer than 1000 wait."""
    stream = _Stream(journal, call)
    reader = asyncio.create_task(stream.read(requests))
    try:
        while (response := await stream.decided.get()) is not None:
            yield response
            stream.release(len(response.outcomes))
        await reader  # raises what ended it
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reader


class _Stream:
    def __init__(self, journal: Journal, call: Call) -> None:
        self._journal = journal
        self._call = call
        self._in_flight = 0  # gifts read, whose outcomes were not delivered yet
        self._capacity = asyncio.Event()
        self.decided: asyncio.Queue[StreamGiftsResponse | None] = asyncio.Queue()

    async def read(self, requests: AsyncIterator[StreamGiftsRequest]) -> None:
        """Reads messages and puts their responses into `decided`, and None at the end.

        A malformed message ends the stream after the outcomes of earlier ones are delivered.
        """
        malformed = None
        try:
            async with asyncio.TaskGroup() as sending:
                try:
                    async for request in requests:
                        await self._wait_for_capacity()
                        self._in_flight += len(request.gifts)
                        sending.create_task(self._send(request.gifts))
                except InvalidArgumentError as error:
                    malformed = error
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.decided.put_nowait(None)
        if malformed is not None:
            raise malformed

    async def _wait_for_capacity(self) -> None:
        while self._in_flight >= GIFTS_MAX:
            self._capacity.clear()
            await self._capacity.wait()

    async def _send(self, gifts: Sequence[SendGiftRequest]) -> None:
        response = StreamGiftsResponse()
        while True:
            try:
                await send_gifts(self._journal, gifts, self._call, response.outcomes)
                break
            except OverloadedError:  # nothing was accepted; a stream waits where a call is refused
                await asyncio.sleep(PAUSE_S)
        self.decided.put_nowait(response)

    def release(self, gifts: int) -> None:
        """Counts delivered gifts, so that as many more may be read."""
        self._in_flight -= gifts
        self._capacity.set()
