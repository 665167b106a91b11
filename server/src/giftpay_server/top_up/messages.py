"""Makes commands of requests about orders."""

from __future__ import annotations

from functools import partial

from giftpay.v1 import (
    TRANSACTION_KIND_CANCEL_TOP_UP,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    TRANSACTION_KIND_CREATE_TOP_UP,
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    Money,
)

from giftpay_server.ledger.model import Command, wallet
from giftpay_server.top_up import rules
from giftpay_server.top_up.rules import Receipt, TopUpRow, payment_claim
from giftpay_server.wire.commands import Asked


def create_command(asked: Asked[CreateTopUpRequest]) -> Command:
    """The command to make an order."""
    decide = partial(rules.create, asked.request, top_up_id=asked.key)
    return asked.command(TRANSACTION_KIND_CREATE_TOP_UP, wallet(asked.request.owner_id), decide)


def confirm_command(
    asked: Asked[ConfirmTopUpRequest], row: TopUpRow | None, *, paid: Money | None
) -> Command:
    """The command to book the payment of an order; refused if there is no such order."""
    request, kind = asked.request, TRANSACTION_KIND_CONFIRM_TOP_UP
    if row is None:
        return asked.refused(kind, rules.not_found(request.top_up_id))
    claim = payment_claim(row, request.payment_reference)
    return asked.command(
        kind,
        wallet(row.owner_id),
        partial(rules.confirm, request, paid=paid, transaction_id=asked.key),
        claims=(claim,),
        reads=((TopUpRow, row.top_up_id), (Receipt, claim)),
    )


def cancel_command(asked: Asked[CancelTopUpRequest], row: TopUpRow | None) -> Command:
    """The command to cancel an order; refused if there is no such order."""
    request, kind = asked.request, TRANSACTION_KIND_CANCEL_TOP_UP
    if row is None:
        return asked.refused(kind, rules.not_found(request.top_up_id))
    reads = ((TopUpRow, row.top_up_id),)
    return asked.command(kind, wallet(row.owner_id), partial(rules.cancel, request), reads=reads)
