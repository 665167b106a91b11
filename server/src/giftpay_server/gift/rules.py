"""The rules of sending a gift: gates, price and legs. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from giftpay.v1 import (
    ERROR_REASON_GIFT_NOT_FOUND,
    ERROR_REASON_GIFT_TO_SELF,
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    UNIT_COIN,
    UNIT_DIAMOND,
    Gift,
    SendGiftRequest,
)

from giftpay_server.catalog.pricing import GIFT, price_item
from giftpay_server.ledger.gates import (
    require_active,
    require_amount_limit,
    require_available,
    require_balance_limit,
)
from giftpay_server.ledger.model import Books, Decision, Leg, Posted, Refused, refuse


class GiftContext(NamedTuple):
    """The context in which a gift was received."""

    owner_id: str
    context: str
    seq: int  # of the recipient's diamond entry

    @property
    def key(self) -> GiftContext:
        return self


def not_found(transaction_id: str) -> Refused:
    """There is no such gift."""
    return refuse(ERROR_REASON_GIFT_NOT_FOUND, transaction_id=transaction_id)


def send_gift(request: SendGiftRequest, books: Books) -> Decision:
    """Debits coins to GIFT_SALES, and credits diamonds from CREATOR_EARNINGS."""
    sender, recipient = request.sender_id, request.recipient_id
    if sender == recipient:
        return refuse(ERROR_REASON_GIFT_TO_SELF, owner_id=sender)
    if refused := require_active(books.owners[sender]) or require_active(books.owners[recipient]):
        return refused
    coins = price_item(
        books.catalog,
        GIFT,
        request.gift_id,
        count=request.count,
        expected=request.expected_coins if request.HasField("expected_coins") else None,
    )
    if isinstance(coins, Refused):
        return coins
    diamonds = books.catalog.diamonds(coins)
    if refused := _funds(request, books, coins=coins, diamonds=diamonds):
        return refused
    return _posted(request, books, coins=coins, diamonds=diamonds)


def _funds(request: SendGiftRequest, books: Books, *, coins: int, diamonds: int) -> Refused | None:
    return (
        require_amount_limit(diamonds)
        or require_available(books.accounts[request.sender_id, UNIT_COIN], coins)
        or require_balance_limit(books.accounts[request.recipient_id, UNIT_DIAMOND], diamonds)
    )


@lru_cache
def _answer(coins: int, diamonds: int) -> bytes:
    return Gift(coins=coins, diamonds=diamonds).SerializeToString()


def _posted(request: SendGiftRequest, books: Books, *, coins: int, diamonds: int) -> Posted:
    sender, recipient = request.sender_id, request.recipient_id
    posted = Posted(
        legs=(
            Leg(sender, UNIT_COIN, -coins, SYSTEM_ACCOUNT_GIFT_SALES),
            Leg(recipient, UNIT_DIAMOND, diamonds, SYSTEM_ACCOUNT_CREATOR_EARNINGS),
        ),
        answer=_answer(coins, diamonds),
    )
    if request.context:
        seq = books.accounts[recipient, UNIT_DIAMOND].seq + 1
        posted.rows = (GiftContext(recipient, request.context, seq),)
    return posted
