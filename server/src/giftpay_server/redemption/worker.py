"""Makes the payouts: calls the provider for due redemptions and records the results.

Any number of workers may run in any number of processes. Every call to the provider is recorded
before it is made (write-ahead), under an idempotency key derived from the redemption and the number
of the call, and only the process that recorded it makes it. If a worker dies at any point, the
redemption is due again later: the payout is then looked up under the provider key that was stored
before the first call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from giftpay_server.journal.journal import Journal
from giftpay_server.journal.worker import PostponedError
from giftpay_server.ledger.model import Outcome
from giftpay_server.postgres.pool import Pool
from giftpay_server.provider_http import ProviderUnavailable
from giftpay_server.redemption.messages import begin_command, record_result_command
from giftpay_server.redemption.providers import (
    PayoutAnswer,
    PayoutOrder,
    PayoutProvider,
    compared,
)
from giftpay_server.redemption.rules import RedemptionRow
from giftpay_server.redemption.steps import (
    DESTINATION_ERASED,
    SENT,
    CallPermission,
    apply_result,
    has_expired,
)
from giftpay_server.redemption.store import Due, StoredRedemption, read_due, read_redemption
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DIFFERS,
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_REJECTED,
    PayoutResult,
    PayoutStep,
)

log = logging.getLogger(__name__)

REASON_MAX = 200  # characters

LINES = {
    PAYOUT_RESULT_REJECTED: "redemption %s: the provider does not take the order %s: %r",
    PAYOUT_RESULT_LOST: "redemption %s: whether %s was paid is not known: %r",
    PAYOUT_RESULT_NOT_FOUND: "redemption %s is left to an operator: it is too late to send %s "
    "again, and the provider does not know it: %r",
    PAYOUT_RESULT_DIFFERS: "redemption %s is left to an operator: the provider has another payout "
    "under %s: %r",
}
"""The log lines of results that an operator may have to act on."""


class PayoutWorker:
    """Makes payouts through one provider."""

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

    async def process(self, item: Due) -> bool:
        """Makes one call and records its result; False if there is none to make.

        Raises PostponedError if the provider is unavailable.
        """
        begun = await self._journal.record(begin_command(item, self._provider.dedupe_window))
        if not isinstance(begun, Outcome) or begun.replayed or begun.transaction.reason:
            return False  # another worker makes this call, or the redemption has ended
        permission = CallPermission(begun.transaction.answer.decode())
        stored = await read_redemption(self._pool, item.redemption_id)
        if stored is None or has_expired(begun.transaction.create_time, self._clock()):
            return False
        step = await self._call(stored, permission)
        if step is not None:
            step.redemption_id, step.call = item.redemption_id, item.call
            await self._book(stored.row, step)
        return True

    async def _call(
        self, stored: StoredRedemption, permission: CallPermission
    ) -> PayoutStep | None:
        """The result of one call; None if there is nothing to record.

        Raises PostponedError if the provider is unavailable.
        """
        row = stored.row
        order = PayoutOrder(row.provider_key or "", stored.destination, row.currency, row.amount)
        try:
            answer = await self._use(permission, order)
        except ProviderUnavailable as error:
            raise PostponedError(f"the provider is away: {error}") from error
        if answer is None:
            return None
        return PayoutStep(result=answer.result, reason=_readable(answer.reason))

    async def _use(self, permission: CallPermission, order: PayoutOrder) -> PayoutAnswer | None:
        match permission:
            case CallPermission.NONE:
                return None
            case CallPermission.SEND:
                return await self._send_first(order)
            case CallPermission.LOOK:
                return await self._find(order)
            case CallPermission.LOOK_OR_SEND:
                return await self._find(order) or await self._send_again(order)
            case CallPermission.LAST_LOOK:
                return await self._look_up(order)

    async def _send_first(self, order: PayoutOrder) -> PayoutAnswer:
        if order.destination:
            answer = compared(order, await self._provider.submit(order))
        else:  # erased since: it is never sent
            answer = PayoutAnswer(PAYOUT_RESULT_REJECTED, DESTINATION_ERASED)
        # It may not be the first call: if the books were restored from a backup, the order may have
        # been sent and paid before.
        match answer.result:
            case PayoutResult.PAYOUT_RESULT_REJECTED:
                return await self._find(order) or answer
            case PayoutResult.PAYOUT_RESULT_DIFFERS:
                return await self._find_same(order) or answer
            case _:
                return answer

    async def _find_same(self, order: PayoutOrder) -> PayoutAnswer | None:
        """Looks up the payout of a key that was answered with DIFFERS.

        Returns the differences, or the payout if all its contents are those of the order; None if
        the provider does not return them.
        """
        try:
            found = await self._provider.find(order.key)
        except ProviderUnavailable:
            return None
        same = compared(order, found)
        return same if found.has_contents or same is not found else None

    async def _send_again(self, order: PayoutOrder) -> PayoutAnswer | None:
        if not order.destination:
            return None  # erased; what was sent before may still have been paid
        return compared(order, await self._provider.submit(order, again=True))

    async def _find(self, order: PayoutOrder) -> PayoutAnswer | None:
        """The payout at the provider; None if it has none."""
        found = await self._look_up(order)
        return found if found.result != PAYOUT_RESULT_NOT_FOUND else None

    async def _look_up(self, order: PayoutOrder) -> PayoutAnswer:
        return compared(order, await self._provider.find(order.key))

    async def _book(self, row: RedemptionRow, step: PayoutStep) -> None:
        if apply_result(row, step, self._clock()) is row:
            if step.result == PAYOUT_RESULT_DIFFERS and row.state not in SENT:
                _log_contradiction(row, step)
            return  # nothing new
        command = record_result_command(step, owner_id=row.owner_id, provider=self._provider.name)
        booked = await self._journal.record(command)
        if isinstance(booked, Outcome) and not booked.transaction.reason:
            _log_result(row, step)
        else:
            _log_contradiction(row, step)


def _log_contradiction(row: RedemptionRow, step: PayoutStep) -> None:
    line = "redemption %s: its state contradicts %s %r"
    log.error(line, row.redemption_id, PayoutResult.Name(step.result), step.reason)


def _log_result(row: RedemptionRow, step: PayoutStep) -> None:
    if line := LINES.get(step.result):
        log.warning(line, row.redemption_id, row.provider_key, step.reason)


def _readable(reason: str) -> str:
    """The provider's text, reduced to what a message and a row can hold."""
    return reason.encode(errors="replace").decode().replace("\0", "")[:REASON_MAX]
