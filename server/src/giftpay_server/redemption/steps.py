"""The state machine of a payout: permissions to call the provider, and the results. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from giftpay.v1 import (
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_RETURNED,
    REDEMPTION_STATE_SUBMITTED,
    REDEMPTION_STATE_UNKNOWN,
    RedemptionState,
)

from giftpay_server.ledger.gates import require_active
from giftpay_server.ledger.model import Books, Decision, MoneyMovement, Posted
from giftpay_server.redemption.rules import (
    RedemptionRow,
    cancelled,
    is_erased,
    is_paid,
    moved,
    not_found,
    wrong_state,
)
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_DIFFERS,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_REJECTED,
    PAYOUT_RESULT_RETURNED,
    PayoutStep,
)

SENT = (REDEMPTION_STATE_SUBMITTED, REDEMPTION_STATE_UNKNOWN)
"""The states in which the provider may have paid; only its answer ends them."""

CAME_BACK = (PAYOUT_RESULT_DECLINED, PAYOUT_RESULT_RETURNED)

FOR_AN_OPERATOR = (PAYOUT_RESULT_NOT_FOUND, PAYOUT_RESULT_DIFFERS)
"""The results after which the provider is not asked any more."""

LOOK_MIN = timedelta(seconds=30)  # between two calls; longer than one takes
LOOK_MAX = timedelta(hours=1)
RETURN_LOOK_MIN = timedelta(hours=1)
RETURN_LOOK_MAX = timedelta(days=1)
RETURN_WINDOW = timedelta(days=30)  # after paying; an operator books later returns
DESTINATION_ERASED = "DESTINATION_ERASED"


class CallPermission(StrEnum):
    """What the process that recorded the beginning of a call may do, once and immediately."""

    NONE = ""
    SEND = "SEND"
    LOOK_OR_SEND = "LOOK_OR_SEND"  # look it up, and send it if the provider does not know it
    LOOK = "LOOK"
    LAST_LOOK = "LAST_LOOK"  # if the provider does not know it, it is left to an operator


def begin(step: PayoutStep, dedupe_window: timedelta, books: Books) -> Decision:
    """Permits a call to the provider; the command's answer is a CallPermission.

    Write-ahead: a redemption is stored as SUBMITTED with its provider key before it is sent.
    """
    row = books.row(RedemptionRow, step.redemption_id)
    if row is None:
        return not_found(step.redemption_id)
    if row.state not in (REDEMPTION_STATE_HELD, *SENT, REDEMPTION_STATE_PAID):
        return wrong_state(row)
    owner = books.owners[row.owner_id]
    frozen, erased = require_active(owner) is not None, is_erased(row, owner)
    if row.state == REDEMPTION_STATE_HELD:
        begun = replace(row, calls=step.call)
        return _start(begun, books.now, frozen=frozen, erased=erased)
    begun = replace(row, calls=step.call, next_time=_next_look(row, books.now))
    may_send = not frozen and not erased
    permission = _permission(row, books.now, may_send=may_send, window=dedupe_window)
    return Posted(rows=(begun,), answer=permission.encode())


def _start(row: RedemptionRow, now: datetime, *, frozen: bool, erased: bool) -> Posted:
    if erased:
        return moved(row, cancelled(row, now, reason=DESTINATION_ERASED), now=now)
    if frozen:
        # Not a refusal: that would be pinned, also after the wallet is unfrozen.
        return Posted(rows=(replace(row, next_time=now + LOOK_MIN),))
    submitted = replace(
        row,
        state=REDEMPTION_STATE_SUBMITTED,
        update_time=now,
        submit_time=now,
        next_time=now + LOOK_MIN,
        provider_key=row.redemption_id,  # it is always sent under the same key
    )
    return Posted(rows=(submitted,), answer=CallPermission.SEND.encode())


def _permission(
    row: RedemptionRow, now: datetime, *, may_send: bool, window: timedelta
) -> CallPermission:
    if is_paid(row):
        return CallPermission.LOOK
    # The last tenth of the window is a margin for slow orders and clock skew.
    if now >= (row.submit_time or now) + window * 9 / 10:
        return CallPermission.LAST_LOOK
    return CallPermission.LOOK_OR_SEND if may_send else CallPermission.LOOK


def has_expired(begin_time: datetime, now: datetime) -> bool:
    """Whether the permission has expired (as a lease does): another call may have begun since."""
    return now >= begin_time + LOOK_MIN


def _next_look(row: RedemptionRow, now: datetime) -> datetime | None:
    """The next look: exponential back-off, since the delay is the time elapsed so far."""
    if not is_paid(row):
        elapsed = now - (row.submit_time or now)
        return now + min(max(elapsed, LOOK_MIN), LOOK_MAX)
    last = row.update_time + RETURN_WINDOW
    wait = min(max(now - row.update_time, RETURN_LOOK_MIN), RETURN_LOOK_MAX)
    return min(now + wait, last) if now < last else None


def record_result(step: PayoutStep, transaction_id: str, provider: str, books: Books) -> Decision:
    """Books the result of a call, without gates: the provider has already acted."""
    row = books.row(RedemptionRow, step.redemption_id)
    if row is None:
        return not_found(step.redemption_id)
    after = apply_result(row, step, books.now)
    if after is None:
        return wrong_state(row)
    posted = moved(row, after, now=books.now)
    if posted.legs:
        posted.rows = (after, _movement(after, transaction_id, provider, books.now))
    return posted


def apply_result(row: RedemptionRow, step: PayoutStep, now: datetime) -> RedemptionRow | None:
    """The redemption after a result: the same row if nothing changes, None if it contradicts.

    Results may arrive late, twice and out of order.
    """
    if row.state in SENT:
        return _apply_while_sent(row, step, now)
    if step.result == PAYOUT_RESULT_DIFFERS:
        return row
    if is_paid(row):
        return _returned(row, step, now) if step.result in CAME_BACK else row
    if row.state == REDEMPTION_STATE_RETURNED:
        return row if step.result != PAYOUT_RESULT_PAID else None
    return None


def _apply_while_sent(row: RedemptionRow, step: PayoutStep, now: datetime) -> RedemptionRow:
    result = step.result
    if result == PAYOUT_RESULT_PAID:
        return replace(_at(row, REDEMPTION_STATE_PAID, now), next_time=now + RETURN_LOOK_MIN)
    if result in CAME_BACK:
        return _returned(row, step, now)
    if result == PAYOUT_RESULT_REJECTED and row.calls == step.call:
        # Only for the last call: one that began since may have sent the order again.
        return _returned(row, step, now)
    if result == PAYOUT_RESULT_PENDING:
        known = _at(row, REDEMPTION_STATE_SUBMITTED, now)
        return known if known.next_time else replace(known, next_time=now + LOOK_MIN)
    if result in FOR_AN_OPERATOR:
        return replace(_at(row, REDEMPTION_STATE_UNKNOWN, now), next_time=None)
    return _at(row, REDEMPTION_STATE_UNKNOWN, now)


def _returned(row: RedemptionRow, step: PayoutStep, now: datetime) -> RedemptionRow:
    after = _at(row, REDEMPTION_STATE_RETURNED, now)
    return replace(after, next_time=None, return_reason=step.reason or None)


def _at(row: RedemptionRow, state: RedemptionState.ValueType, now: datetime) -> RedemptionRow:
    return row if row.state == state else replace(row, state=state, update_time=now)


def _movement(
    row: RedemptionRow, transaction_id: str, provider: str, now: datetime
) -> MoneyMovement:
    return MoneyMovement(
        transaction_id=transaction_id,
        subject_id=row.redemption_id,
        provider=provider,
        reference=row.provider_key or "",
        currency=row.currency,
        minor_units=-row.amount if is_paid(row) else row.amount,
        create_time=now,
    )
