"""The rules of reversing a gift, and of a shortfall. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import (
    ERROR_REASON_GIFT_ALREADY_REVERSED,
    SHORTFALL_POLICY_DEBT,
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_PLATFORM_LOSS,
    UNIT_COIN,
    UNIT_DIAMOND,
    Gift,
    ReverseGiftResponse,
    ShortfallPolicy,
)

from giftpay_server.ledger.gates import require_balance_limit
from giftpay_server.ledger.model import Books, Decision, Grant, Leg, LotKind, Posted, refuse


def reversal_claim(gift_id: str) -> str:
    """The claim on a gift's reversal, by the id of the gift's transaction."""
    return f"reversal:{gift_id}"


def reverse_gift(gift: Gift, policy: ShortfallPolicy.ValueType, books: Books) -> Decision:
    """Reverses both legs of a gift, whatever the wallets' status.

    All coins return to the sender, and all diamonds leave the recipient. What the recipient no
    longer has becomes a debt, or the platform credits it first, as a loss.
    """
    reversal_id = books.claims.get(reversal_claim(gift.transaction_id))
    if reversal_id is not None:
        return refuse(
            ERROR_REASON_GIFT_ALREADY_REVERSED,
            transaction_id=gift.transaction_id,
            reversal_id=reversal_id,
        )
    if refused := require_balance_limit(books.accounts[gift.sender_id, UNIT_COIN], gift.coins):
        return refused
    available = max(0, books.accounts[gift.recipient_id, UNIT_DIAMOND].available)
    shortfall = max(0, gift.diamonds - available)
    loss = 0 if policy == SHORTFALL_POLICY_DEBT else shortfall
    answer = ReverseGiftResponse(coins=gift.coins, diamonds=gift.diamonds - loss, loss=loss)
    return Posted(legs=_legs(gift, loss), answer=answer.SerializeToString())


def _legs(gift: Gift, loss: int) -> Sequence[Leg]:
    """The legs cancel the gift in GIFT_SALES and CREATOR_EARNINGS; a loss is PLATFORM_LOSS's."""
    sender, recipient = gift.sender_id, gift.recipient_id
    returned = Grant(LotKind.REVERSAL, gift.transaction_id)
    legs = [Leg(sender, UNIT_COIN, gift.coins, SYSTEM_ACCOUNT_GIFT_SALES, returned)]
    if loss:
        legs.append(Leg(recipient, UNIT_DIAMOND, loss, SYSTEM_ACCOUNT_PLATFORM_LOSS))
    taken = Leg(
        recipient, UNIT_DIAMOND, -gift.diamonds, SYSTEM_ACCOUNT_CREATOR_EARNINGS, overdraw=True
    )
    return [*legs, taken]
