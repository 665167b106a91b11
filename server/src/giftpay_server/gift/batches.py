"""Many gifts in one call: an outcome for each, and no item sinks another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress

from giftpay.v1 import GiftOutcome, SendGiftRequest, StreamGiftsRequest

from giftpay_server.gift.messages import gift_command, gift_message
from giftpay_server.ledger.commands import Answer, Command, Outcome
from giftpay_server.ledger.journal import Journal
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.guard import refusal_from
from giftpay_server.wire.identity import LOCAL
from giftpay_server.wire.refusals import refusal_of

GIFTS_MAX = 1_000  # in one message, and undecided in one stream


async def outcomes(journal: Journal, gifts: Sequence[SendGiftRequest]) -> list[GiftOutcome]:
    """Sends gifts in their order; raises only if none was taken."""
    keys = [gift.idempotency_key for gift in gifts]
    parsed = [_parse(gift) for gift in gifts]
    commands = [item for item in parsed if isinstance(item, Command)]
    answers = iter(await journal.record_all(commands) if commands else ())
    return [
        _outcome(key, item, next(answers) if isinstance(item, Command) else item)
        for key, item in zip(keys, parsed, strict=True)
    ]


def _parse(gift: SendGiftRequest) -> Command | InvalidArgumentError:
    try:
        if gift.validate_only:
            raise InvalidArgumentError("validate_only", "false in a batch or a stream")
        return gift_command(gift, caller=LOCAL)
    except InvalidArgumentError as error:
        return error


def _outcome(
    key: str, item: Command | InvalidArgumentError, answer: Answer | BaseException
) -> GiftOutcome:
    if isinstance(answer, BaseException):
        return GiftOutcome(idempotency_key=key, refusal=refusal_from(answer))
    if not isinstance(answer, Outcome) or answer.transaction.reason:
        replayed = isinstance(answer, Outcome) and answer.replayed
        return GiftOutcome(idempotency_key=key, refusal=refusal_of(answer), replayed=replayed)
    assert isinstance(item, Command)
    words = item.personal.value if item.personal is not None else ""
    gift = gift_message(item.request, answer.transaction, words=words)  # type: ignore[arg-type]
    return GiftOutcome(idempotency_key=key, gift=gift, replayed=answer.replayed)


async def stream_outcomes(
    journal: Journal, requests: AsyncIterator[StreamGiftsRequest]
) -> AsyncIterator[list[GiftOutcome]]:
    """Outcomes of a stream's gifts as they commit; reads on while fewer than 1000 are undecided."""
    stream = _Stream(journal)
    reader = asyncio.create_task(stream.read(requests))
    try:
        while (decided := await stream.decided.get()) is not None:
            yield decided
        await reader  # raises what ended it
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reader


class _Stream:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._undecided = 0
        self._room = asyncio.Event()
        self.decided: asyncio.Queue[list[GiftOutcome] | None] = asyncio.Queue()

    async def read(self, requests: AsyncIterator[StreamGiftsRequest]) -> None:
        """Takes message after message; the last thing put out is None."""
        try:
            async with asyncio.TaskGroup() as sending:
                async for request in requests:
                    if not 0 < len(request.gifts) <= GIFTS_MAX:
                        raise InvalidArgumentError("gifts", f"1..{GIFTS_MAX} items")
                    await self._wait_for_room()
                    self._undecided += len(request.gifts)
                    sending.create_task(self._send(request.gifts))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.decided.put_nowait(None)

    async def _wait_for_room(self) -> None:
        while self._undecided >= GIFTS_MAX:
            self._room.clear()
            await self._room.wait()

    async def _send(self, gifts: Iterable[SendGiftRequest]) -> None:
        gifts = list(gifts)
        try:
            decided = await outcomes(self._journal, gifts)
        finally:
            self._undecided -= len(gifts)
            self._room.set()
        self.decided.put_nowait(decided)
