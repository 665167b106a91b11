"""From the wire to commands on orders."""

from __future__ import annotations

import re
from functools import partial

from giftpay.v1 import (
    TRANSACTION_KIND_CANCEL_TOP_UP,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    TRANSACTION_KIND_CREATE_TOP_UP,
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    Money,
    PaymentProvider,
    TransactionKind,
)

from giftpay_server.ledger.model import Command, wallet
from giftpay_server.top_up import rules
from giftpay_server.top_up.rules import Receipt, TopUpRow, payment_claim
from giftpay_server.wire.fields import InvalidArgumentError, valid_choice, valid_id, valid_uuid
from giftpay_server.wire.keys import transaction_id

REFERENCE = re.compile(r"[!-~]{1,128}")


def create_command(request: CreateTopUpRequest, *, caller: str) -> Command:
    """The command to make an order; the request becomes what is stored.

    Raises InvalidArgumentError naming the first malformed field.
    """
    # A preview has no key: nothing is recorded under it.
    key = "" if request.validate_only else transaction_id(request.idempotency_key, caller=caller)
    valid_id(request.owner_id, "owner_id")
    valid_id(request.package_id, "package_id")
    valid_choice(request.provider, "provider", PaymentProvider)
    request.ClearField("idempotency_key")
    request.ClearField("validate_only")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_CREATE_TOP_UP,
        request=request,
        accounts=wallet(request.owner_id),
        decide=partial(rules.create, request, top_up_id=key),
    )


def check_confirm(request: ConfirmTopUpRequest, *, caller: str) -> str:
    """The key of a confirmation; raises InvalidArgumentError naming the first malformed field."""
    key = transaction_id(request.idempotency_key, caller=caller)
    valid_uuid(request.top_up_id, "top_up_id")
    if REFERENCE.fullmatch(request.payment_reference) is None:
        raise InvalidArgumentError("payment_reference", "1..128 visible ASCII characters")
    return key


def confirm_command(
    request: ConfirmTopUpRequest, row: TopUpRow, *, caller: str, paid: Money | None
) -> Command:
    """The command to book what the provider took for an order."""
    key = transaction_id(request.idempotency_key, caller=caller)
    claim = payment_claim(row, request.payment_reference)
    request.ClearField("idempotency_key")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_CONFIRM_TOP_UP,
        request=request,
        accounts=wallet(row.owner_id),
        decide=partial(rules.confirm, request, paid=paid, transaction_id=key),
        claims=(claim,),
        reads=((TopUpRow, row.top_up_id), (Receipt, claim)),
    )


def cancel_command(request: CancelTopUpRequest, row: TopUpRow, *, caller: str) -> Command:
    """The command to give an order up."""
    key = transaction_id(request.idempotency_key, caller=caller)
    request.ClearField("idempotency_key")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_CANCEL_TOP_UP,
        request=request,
        accounts=wallet(row.owner_id),
        decide=partial(rules.cancel, request),
        reads=((TopUpRow, row.top_up_id),),
    )


def unknown_top_up(
    request: ConfirmTopUpRequest | CancelTopUpRequest,
    kind: TransactionKind.ValueType,
    *,
    caller: str,
) -> Command:
    """A command on an order that does not exist: its refusal is to stand under the key as well."""
    key = transaction_id(request.idempotency_key, caller=caller)
    request.ClearField("idempotency_key")
    return Command(
        id=key,
        caller=caller,
        kind=kind,
        request=request,
        accounts=(),
        decide=lambda _: rules.not_found(request.top_up_id),
    )
