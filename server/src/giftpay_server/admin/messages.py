"""From the wire to the commands of operators."""

from __future__ import annotations

from functools import partial

from giftpay.v1 import (
    ERROR_REASON_GIFT_NOT_FOUND,
    SHORTFALL_POLICY_PLATFORM_LOSS,
    TRANSACTION_KIND_ADJUSTMENT,
    TRANSACTION_KIND_ERASURE,
    TRANSACTION_KIND_GIFT_REVERSAL,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    ErasePersonalDataRequest,
    Gift,
    ReverseGiftRequest,
    ShortfallPolicy,
)

from giftpay_server.admin import rules
from giftpay_server.gift.rules_reversal import reversal_claim, reverse_gift
from giftpay_server.ledger.model import AMOUNT_LIMIT, Command, refuse, wallet
from giftpay_server.wire.fields import (
    InvalidArgumentError,
    valid_choice,
    valid_id,
    valid_text,
    valid_unit,
    valid_uuid,
)
from giftpay_server.wire.keys import transaction_id

REASON_MAX = 200  # characters


def adjust_command(request: AdjustBalanceRequest, *, caller: str) -> Command:
    """The command that a request asks for; the request becomes what is stored.

    Raises InvalidArgumentError naming the first malformed field.
    """
    key = transaction_id(request.idempotency_key, caller=caller)
    valid_id(request.owner_id, "owner_id")
    valid_unit(request.unit, "unit")
    if not 0 < abs(request.amount) <= AMOUNT_LIMIT:
        raise InvalidArgumentError("amount", f"-{AMOUNT_LIMIT}..{AMOUNT_LIMIT} and not 0")
    valid_text(request.reason, "reason", least=1, most=REASON_MAX)
    request.ClearField("idempotency_key")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=request,
        accounts=((request.owner_id, request.unit),),
        decide=partial(rules.adjust, request, transaction_id=key),
        moves_only=True,
    )


def check_reversal(request: ReverseGiftRequest, *, caller: str) -> None:
    """Raises InvalidArgumentError naming the first malformed field; fills in the policy."""
    transaction_id(request.idempotency_key, caller=caller)
    valid_uuid(request.transaction_id, "transaction_id")
    valid_text(request.reason, "reason", least=1, most=REASON_MAX)
    request.shortfall_policy = request.shortfall_policy or SHORTFALL_POLICY_PLATFORM_LOSS
    valid_choice(request.shortfall_policy, "shortfall_policy", ShortfallPolicy)


def reversal_command(request: ReverseGiftRequest, gift: Gift | None, *, caller: str) -> Command:
    """The command to reverse a gift as it was read: what was sent never changes.

    Where none was, its refusal is to stand under the key as well.
    """
    key = transaction_id(request.idempotency_key, caller=caller)
    request.ClearField("idempotency_key")
    missing = refuse(ERROR_REASON_GIFT_NOT_FOUND, transaction_id=request.transaction_id)
    command = Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_GIFT_REVERSAL,
        request=request,
        accounts=(),
        decide=lambda _: missing,
    )
    if gift is not None:
        command.accounts = ((gift.sender_id, UNIT_COIN), (gift.recipient_id, UNIT_DIAMOND))
        command.decide = partial(reverse_gift, gift, request.shortfall_policy)
        command.claims = (reversal_claim(gift.transaction_id),)
    return command


def erase_command(request: ErasePersonalDataRequest, *, caller: str) -> Command:
    """The command that a request asks for; raises InvalidArgumentError as the others do."""
    key = transaction_id(request.idempotency_key, caller=caller)
    valid_id(request.owner_id, "owner_id")
    request.ClearField("idempotency_key")
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_ERASURE,
        request=request,
        accounts=wallet(request.owner_id),
        decide=partial(rules.erase, request),
    )
