"""Makes commands of operators' requests."""

from __future__ import annotations

from functools import partial

from giftpay.v1 import (
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
)

from giftpay_server.admin import rules
from giftpay_server.gift.rules import not_found
from giftpay_server.gift.rules_reversal import reversal_claim, reverse_gift
from giftpay_server.ledger.model import Command, wallet
from giftpay_server.wire.commands import Asked


def adjust_command(asked: Asked[AdjustBalanceRequest]) -> Command:
    """The command to correct an account."""
    request = asked.request
    return asked.command(
        TRANSACTION_KIND_ADJUSTMENT,
        ((request.owner_id, request.unit),),
        partial(rules.adjust, request, transaction_id=asked.key),
        moves_only=True,
    )


def reversal_command(asked: Asked[ReverseGiftRequest], gift: Gift | None) -> Command:
    """The command to reverse a gift, which is immutable; refused if there is no such gift."""
    request, kind = asked.request, TRANSACTION_KIND_GIFT_REVERSAL
    request.shortfall_policy = request.shortfall_policy or SHORTFALL_POLICY_PLATFORM_LOSS
    if gift is None:
        return asked.refused(kind, not_found(request.transaction_id))
    return asked.command(
        kind,
        ((gift.sender_id, UNIT_COIN), (gift.recipient_id, UNIT_DIAMOND)),
        partial(reverse_gift, gift, request.shortfall_policy),
        claims=(reversal_claim(gift.transaction_id),),
    )


def erase_command(asked: Asked[ErasePersonalDataRequest]) -> Command:
    """The command to erase an owner's personal data."""
    decide = partial(rules.erase, asked.request)
    return asked.command(TRANSACTION_KIND_ERASURE, wallet(asked.request.owner_id), decide)
