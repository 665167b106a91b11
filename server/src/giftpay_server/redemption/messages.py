"""From the wire to commands on redemptions, and back from what was read."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from giftpay.v1 import (
    REDEMPTION_STATE_HELD,
    TRANSACTION_KIND_CANCEL_REDEMPTION,
    TRANSACTION_KIND_CREATE_REDEMPTION,
    TRANSACTION_KIND_PAYOUT_STEP,
    CancelRedemptionRequest,
    CreateRedemptionRequest,
    Redemption,
    RedemptionQuote,
)

from giftpay_server.ledger.model import (
    AMOUNT_LIMIT,
    Books,
    Command,
    Decision,
    Personal,
    Transaction,
    wallet,
)
from giftpay_server.protobuf import timestamp
from giftpay_server.redemption import rules, steps
from giftpay_server.redemption.rules import RedemptionRow
from giftpay_server.redemption.store import Due, Standing
from giftpay_server.stored.v1.payout_pb2 import PayoutStep
from giftpay_server.wire.fields import (
    InvalidArgumentError,
    valid_currency,
    valid_id,
    valid_line,
    valid_number,
    valid_uuid,
)
from giftpay_server.wire.keys import step_id, transaction_id

WORKER = "~payouts"  # outside the alphabet of callers
DESTINATION_MIN = 3  # characters
DESTINATION_MAX = 200


def create_command(request: CreateRedemptionRequest, *, caller: str) -> Command:
    """The command to redeem; the request becomes what is stored.

    Raises InvalidArgumentError naming the first malformed field.
    """
    # A preview has no key: nothing is recorded under it.
    key = "" if request.validate_only else transaction_id(request.idempotency_key, caller=caller)
    _check(request)
    request.ClearField("idempotency_key")
    request.ClearField("validate_only")
    personal = Personal(request.owner_id, "destination", request.destination, os.urandom(16))
    request.ClearField("destination")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_CREATE_REDEMPTION,
        request=request,
        accounts=wallet(request.owner_id),
        decide=partial(rules.create, request, key),
        personal=personal,
    )


def _check(request: CreateRedemptionRequest) -> None:
    valid_id(request.owner_id, "owner_id")
    valid_number(request.diamonds, "diamonds", least=1, most=AMOUNT_LIMIT)
    valid_currency(request.currency_code, "currency_code")
    valid_line(request.destination, "destination", least=DESTINATION_MIN, most=DESTINATION_MAX)
    if request.HasField("expected_amount"):
        expected = request.expected_amount
        if expected.currency_code != request.currency_code:
            raise InvalidArgumentError("expected_amount.currency_code", "the currency_code")
        valid_number(
            expected.minor_units, "expected_amount.minor_units", least=1, most=AMOUNT_LIMIT
        )


def cancel_command(request: CancelRedemptionRequest, *, caller: str) -> Command:
    """The command to cancel, of which it is not known yet whose redemption it is.

    Raises InvalidArgumentError naming the first malformed field.
    """
    key = transaction_id(request.idempotency_key, caller=caller)
    valid_uuid(request.redemption_id, "redemption_id")
    request.ClearField("idempotency_key")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_CANCEL_REDEMPTION,
        request=request,
        accounts=(),
        decide=partial(rules.cancel, request),
    )


def of_owner(command: Command, owner_id: str, redemption_id: str) -> Command:
    """The command with the redemption that it is about, under its owner's locks."""
    command.accounts = wallet(owner_id)
    command.reads = ((RedemptionRow, redemption_id),)
    return command


def begin_command(due: Due, dedupe_window: timedelta) -> Command:
    """The worker's command by which a call to the provider begins."""
    step = PayoutStep(redemption_id=due.redemption_id, call=due.call)
    key = step_id(due.redemption_id, f"begin/{due.call}")
    return _step_command(key, step, due.owner_id, partial(steps.begin, step, dedupe_window))


def record_result_command(step: PayoutStep, *, owner_id: str, provider: str) -> Command:
    """The worker's command to book what a call brought; `provider` is the name in the books."""
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
    return Redemption(
        redemption_id=transaction.id,
        owner_id=request.owner_id,
        quote=RedemptionQuote.FromString(transaction.answer),
        destination=destination,
        state=REDEMPTION_STATE_HELD,
        create_time=timestamp(transaction.create_time),
        update_time=timestamp(transaction.create_time),
    )


def redemption_message(standing: Standing) -> Redemption:
    """A redemption as it was read."""
    row = standing.row
    return Redemption(
        redemption_id=row.redemption_id,
        owner_id=row.owner_id,
        quote=RedemptionQuote.FromString(standing.quote),
        destination=standing.destination,
        state=row.state,
        provider_key=row.provider_key or "",
        return_reason=row.return_reason or "",
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
    )
