"""Makes the payouts: calls the provider for what is due, and records the result.

Any number of workers may run, in any number of processes. Every call to the provider is recorded
before it is made, under a key derived from the redemption and the number of the call, and only
whoever recorded it makes it. A worker that dies at any point leaves a redemption that is due again
later: the provider is then asked what it knows, under the provider key that was stored before the
first call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from giftpay_server.journal.journal import Journal
from giftpay_server.journal.worker import PostponedError
from giftpay_server.ledger.model import Outcome
from giftpay_server.postgres.pool import Pool
from giftpay_server.provider_http import AnswerLost, ProviderUnavailable
from giftpay_server.redemption.messages import begin_command, record_result_command
from giftpay_server.redemption.providers import (
    PayoutAnswer,
    PayoutOrder,
    PayoutProvider,
    PayoutRejected,
)
from giftpay_server.redemption.rules import RedemptionRow
from giftpay_server.redemption.steps import (
    DESTINATION_ERASED,
    CallPermission,
    apply_result,
    has_expired,
)
from giftpay_server.redemption.store import Due, Standing, read_due, read_redemption
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_REJECTED,
    PayoutResult,
    PayoutStep,
)

log = logging.getLogger(__name__)

REASON_MAX = 200  # characters


class PayoutWorker:
    """Attends to payouts, through one provider."""

    name = "payouts"

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        provider: PayoutProvider,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._provider = provider
        self._clock = clock

    async def due(self, now: datetime, limit: int) -> list[Due]:
        """The redemptions for which the provider is to be called, the longest due first."""
        return await read_due(self._pool, now, limit=limit)

    async def attend(self, item: Due) -> bool:
        """Makes one call and records its result; False where there is none to make.

        Raises PostponedError where the provider is away.
        """
        begun = await self._journal.record(begin_command(item, self._provider.dedupe_window))
        if not isinstance(begun, Outcome) or begun.replayed or begun.transaction.reason:
            return False  # another worker makes this call, or the redemption has ended
        permission = CallPermission(begun.transaction.answer.decode())
        standing = await read_redemption(self._pool, item.redemption_id)
        if standing is None or has_expired(begun.transaction.create_time, self._clock()):
            return False
        step = await self._call(standing, permission)
        if step is not None:
            step.redemption_id, step.call = item.redemption_id, item.call
            await self._book(standing.row, step)
        return True

    async def _call(self, standing: Standing, permission: CallPermission) -> PayoutStep | None:
        """The result of one call; None where there is nothing to record.

        Raises PostponedError where the provider is away.
        """
        redemption_id = standing.row.redemption_id
        try:
            return await self._use(permission, standing)
        except AnswerLost:
            return PayoutStep(result=PAYOUT_RESULT_LOST)
        except PayoutRejected as error:
            log.warning("redemption %s: the provider rejects it: %s", redemption_id, error.code)
            # Of an order sent again it says nothing about the first.
            first = permission is CallPermission.SEND
            result = PAYOUT_RESULT_REJECTED if first else PAYOUT_RESULT_LOST
            return PayoutStep(result=result, reason=_readable(error.code))
        except ProviderUnavailable as error:
            raise PostponedError(f"the provider is away: {error}") from error

    async def _use(self, permission: CallPermission, standing: Standing) -> PayoutStep | None:
        match permission:
            case CallPermission.NONE:
                return None
            case CallPermission.SEND:
                if not standing.destination:  # erased since: it is never sent
                    return PayoutStep(result=PAYOUT_RESULT_REJECTED, reason=DESTINATION_ERASED)
                return await self._send(standing)
            case CallPermission.LOOK:
                return await self._look(standing)
            case CallPermission.LOOK_OR_SEND:
                return await self._look(standing) or await self._send(standing)
            case CallPermission.LAST_LOOK:
                return await self._look(standing) or PayoutStep(result=PAYOUT_RESULT_NOT_FOUND)

    async def _send(self, standing: Standing) -> PayoutStep | None:
        row = standing.row
        if not standing.destination:
            return None  # erased; what was sent before may still have been paid
        order = PayoutOrder(row.provider_key or "", standing.destination, row.currency, row.amount)
        return _step(await self._provider.submit(order))

    async def _look(self, standing: Standing) -> PayoutStep | None:
        found = await self._provider.find(standing.row.provider_key or "")
        return _step(found) if found is not None else None

    async def _book(self, row: RedemptionRow, step: PayoutStep) -> None:
        if apply_result(row, step, self._clock()) is row:
            return  # nothing new
        command = record_result_command(step, owner_id=row.owner_id, provider=self._provider.name)
        booked = await self._journal.record(command)
        if not isinstance(booked, Outcome) or booked.transaction.reason:
            result = PayoutResult.Name(step.result)
            log.error("redemption %s: its state contradicts %s", row.redemption_id, result)
        elif step.result == PAYOUT_RESULT_NOT_FOUND:
            log.warning(
                "redemption %s is left to an operator: the provider knows nothing of %s, "
                "and it is too late to send it again",
                row.redemption_id,
                row.provider_key,
            )


def _step(answer: PayoutAnswer) -> PayoutStep:
    result = PayoutResult.Value(f"PAYOUT_RESULT_{answer.state}")
    return PayoutStep(result=result, reason=_readable(answer.reason or ""))


def _readable(reason: str) -> str:
    """The provider's text as far as a message and a row can hold it."""
    return reason.encode(errors="replace").decode().replace("\0", "")[:REASON_MAX]
