"""Makes commands of requests about redemptions, and messages of redemptions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from giftpay.v1 import (
    TRANSACTION_KIND_CANCEL_REDEMPTION,
    TRANSACTION_KIND_CREATE_REDEMPTION,
    TRANSACTION_KIND_PAYOUT_STEP,
    CancelRedemptionRequest,
    CreateRedemptionRequest,
    Redemption,
)

from giftpay_server.ledger.model import (
    Books,
    Command,
    Decision,
    Transaction,
    wallet,
)
from giftpay_server.ledger.replay import read_answer
from giftpay_server.protobuf import timestamp
from giftpay_server.redemption import rules, steps
from giftpay_server.redemption.rules import RedemptionRow
from giftpay_server.redemption.store import Due, StoredRedemption
from giftpay_server.stored.v1.payout_pb2 import PayoutStep
from giftpay_server.wire.commands import Asked
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.keys import step_id

WORKER = "~payouts"  # outside the alphabet of callers


def create_command(asked: Asked[CreateRedemptionRequest]) -> Command:
    """The command to redeem; raises InvalidArgumentError if it expects another currency."""
    request = asked.request
    expected = request.expected_amount.currency_code
    if request.HasField("expected_amount") and expected != request.currency_code:
        raise InvalidArgumentError("expected_amount.currency_code", "the currency_code")
    decide = partial(rules.create, request, asked.key)
    return asked.command(TRANSACTION_KIND_CREATE_REDEMPTION, wallet(request.owner_id), decide)


def cancel_command(asked: Asked[CancelRedemptionRequest], row: RedemptionRow | None) -> Command:
    """The command to cancel a redemption; refused if there is no such redemption."""
    request, kind = asked.request, TRANSACTION_KIND_CANCEL_REDEMPTION
    if row is None:
        return asked.refused(kind, rules.not_found(request.redemption_id))
    reads = ((RedemptionRow, row.redemption_id),)
    return asked.command(kind, wallet(row.owner_id), partial(rules.cancel, request), reads=reads)


def begin_command(due: Due, dedupe_window: timedelta) -> Command:
    """The worker's command that records the beginning of a call to the provider."""
    step = PayoutStep(redemption_id=due.redemption_id, call=due.call)
    key = step_id(due.redemption_id, f"begin/{due.call}")
    return _step_command(key, step, due.owner_id, partial(steps.begin, step, dedupe_window))


def record_result_command(step: PayoutStep, *, owner_id: str, provider: str) -> Command:
    """The worker's command to book the result of a call; `provider` is the name in the books."""
    key = step_id(step.redemption_id, f"result/{step.call}")
    return _step_command(key, step, owner_id, partial(steps.record_result, step, key, provider))


def _step_command(
    key: str, step: PayoutStep, owner_id: str, decide: Callable[[Books], Decision]
) -> Command:
    return Command(
        id=key,
        caller=WORKER,
        kind=TRANSACTION_KIND_PAYOUT_STEP,
        request=step,
        accounts=wallet(owner_id),
        decide=decide,
        reads=((RedemptionRow, step.redemption_id),),
    )


def created_message(
    request: CreateRedemptionRequest, transaction: Transaction, *, destination: str
) -> Redemption:
    """The redemption as a posted transaction made it."""
    made = read_answer(transaction, into=Redemption())
    made.redemption_id = transaction.id
    made.owner_id = request.owner_id
    made.destination = destination
    made.create_time.CopyFrom(timestamp(transaction.create_time))
    made.update_time.CopyFrom(timestamp(transaction.create_time))
    return made


def redemption_message(stored: StoredRedemption) -> Redemption:
    """A redemption as it was read."""
    row = stored.row
    return Redemption(
        redemption_id=row.redemption_id,
        owner_id=row.owner_id,
        quote=Redemption.FromString(stored.answer).quote,
        destination=stored.destination,
        state=row.state,
        provider_key=row.provider_key or "",
        return_reason=row.return_reason or "",
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
    )
