"""Makes the payouts: finds what is due, calls the provider, books its word.

Any number of workers may run, in any number of processes. Every call to the provider is recorded
before it is made, under a key made of the redemption and the number of the call, and only whoever
recorded it makes it. A worker that dies at any point leaves a redemption that is due again later:
the provider is then asked what it knows, under the provider key that stands there since before the
first call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from giftpay.v1 import (
    PAYOUT_WORD_LOST,
    PAYOUT_WORD_NOT_FOUND,
    PAYOUT_WORD_REJECTED,
    PayoutStep,
    PayoutWord,
)

from giftpay_server.ledger.commands import Outcome
from giftpay_server.ledger.journal import Journal
from giftpay_server.postgres.pool import Pool
from giftpay_server.provider_http import AnswerLost, ProviderUnavailable
from giftpay_server.redemption.messages import begin_command, hear_command
from giftpay_server.redemption.providers import (
    PayoutAnswer,
    PayoutOrder,
    PayoutProvider,
    PayoutRejected,
)
from giftpay_server.redemption.rules import RedemptionRow
from giftpay_server.redemption.steps import DESTINATION_ERASED, Right, has_expired, heard
from giftpay_server.redemption.store import Due, Standing, read_due, read_redemption

log = logging.getLogger(__name__)

ROUND_MAX = 100  # payouts in one round
CALLS_MAX = 8  # of the provider at once
REST_MAX_S = 30.0  # after rounds that failed
REASON_MAX = 200  # characters


class PayoutWorker:
    """The payouts of one process, by one provider."""

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        provider: PayoutProvider,
        *,
        clock: Callable[[], datetime],
        poll_s: float,
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._provider = provider
        self._clock = clock
        self._poll_s = poll_s

    async def run(self) -> None:
        """Goes round for ever; after rounds that fail it rests longer, up to 30 seconds."""
        rest_s = self._poll_s
        while True:
            try:
                await self.round()
                rest_s = self._poll_s
            except Exception:
                rest_s = min(2 * rest_s, REST_MAX_S)
                log.warning("some payouts wait for another round", exc_info=True)
            await asyncio.sleep(rest_s)

    async def round(self) -> None:
        """Makes one call for each payout that is due, up to 100; none stops another.

        Raises an ExceptionGroup of what went wrong, other than at the provider.
        """
        free = asyncio.Semaphore(CALLS_MAX)

        async def attend(due: Due) -> None:
            async with free:
                await self._attend(due)

        payouts = await read_due(self._pool, self._clock(), limit=ROUND_MAX)
        results = await asyncio.gather(*map(attend, payouts), return_exceptions=True)
        if failures := [result for result in results if isinstance(result, Exception)]:
            raise ExceptionGroup("payouts failed", failures)

    async def _attend(self, due: Due) -> None:
        begun = await self._journal.record(begin_command(due, self._provider.dedupe_window))
        if not isinstance(begun, Outcome) or begun.replayed or begun.transaction.reason:
            return  # another worker makes this call, or there is none to make
        right = Right(begun.transaction.answer.decode())
        standing = await read_redemption(self._pool, due.redemption_id)
        if standing is None or has_expired(begun.transaction.create_time, self._clock()):
            return
        step = await self._call(standing, right)
        if step is not None:
            step.redemption_id, step.call = due.redemption_id, due.call
            await self._book(standing.row, step)

    async def _call(self, standing: Standing, right: Right) -> PayoutStep | None:
        """The word that one call brings; None where the provider has not said anything."""
        redemption_id = standing.row.redemption_id
        try:
            return await self._use(right, standing)
        except AnswerLost:
            return PayoutStep(word=PAYOUT_WORD_LOST)
        except PayoutRejected as error:
            log.warning("redemption %s: the provider rejects it: %s", redemption_id, error.code)
            # Of an order sent again it says nothing about the first.
            first = right is Right.SEND
            word = PAYOUT_WORD_REJECTED if first else PAYOUT_WORD_LOST
            return PayoutStep(word=word, reason=_readable(error.code))
        except ProviderUnavailable as error:
            log.warning("redemption %s: the provider is away: %s", redemption_id, error)
            return None

    async def _use(self, right: Right, standing: Standing) -> PayoutStep | None:
        match right:
            case Right.NONE:
                return None
            case Right.SEND:
                if not standing.destination:  # erased since the right was given: it is never sent
                    return PayoutStep(word=PAYOUT_WORD_REJECTED, reason=DESTINATION_ERASED)
                return await self._send(standing)
            case Right.LOOK:
                return await self._look(standing)
            case Right.LOOK_OR_SEND:
                return await self._look(standing) or await self._send(standing)
            case Right.LAST_LOOK:
                return await self._look(standing) or PayoutStep(word=PAYOUT_WORD_NOT_FOUND)

    async def _send(self, standing: Standing) -> PayoutStep | None:
        row = standing.row
        if not standing.destination:
            return None  # erased; what was sent before may still have been paid
        order = PayoutOrder(row.provider_key or "", standing.destination, row.currency, row.amount)
        return _told(await self._provider.submit(order))

    async def _look(self, standing: Standing) -> PayoutStep | None:
        found = await self._provider.find(standing.row.provider_key or "")
        return _told(found) if found is not None else None

    async def _book(self, row: RedemptionRow, step: PayoutStep) -> None:
        if heard(row, step, self._clock()) is row:
            return  # nothing new
        command = hear_command(step, owner_id=row.owner_id, provider=self._provider.name)
        booked = await self._journal.record(command)
        if not isinstance(booked, Outcome) or booked.transaction.reason:
            word = PayoutWord.Name(step.word)
            log.error("redemption %s: its state contradicts %s", row.redemption_id, word)
        elif step.word == PAYOUT_WORD_NOT_FOUND:
            log.warning(
                "redemption %s is left to an operator: the provider knows nothing of %s, "
                "and it is too late to send it again",
                row.redemption_id,
                row.provider_key,
            )


def _told(answer: PayoutAnswer) -> PayoutStep:
    word = PayoutWord.Value(f"PAYOUT_WORD_{answer.state}")
    return PayoutStep(word=word, reason=_readable(answer.reason or ""))


def _readable(reason: str) -> str:
    """The provider's words as far as a message and a row can hold them."""
    return reason.encode(errors="replace").decode().replace("\0", "")[:REASON_MAX]
