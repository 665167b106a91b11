"""What a gift costs, who may send it, and which legs it makes. Pure."""

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
from giftpay_server.ledger.gates import can_spend, may_move, room_for, within_limit
from giftpay_server.ledger.model import Books, Decision, Leg, Posted, Refused, refuse


class GiftContext(NamedTuple):
    """Where a gift was received, for those that name a context."""

    owner_id: str
    context: str
    seq: int  # of the recipient's diamond entry

    @property
    def key(self) -> GiftContext:
        return self


def not_found(transaction_id: str) -> Refused:
    """No gift was sent by that transaction."""
    return refuse(ERROR_REASON_GIFT_NOT_FOUND, transaction_id=transaction_id)


def send_gift(request: SendGiftRequest, books: Books) -> Decision:
    """Coins leave the sender for GIFT_SALES, diamonds reach the recipient from CREATOR_EARNINGS."""
    sender, recipient = request.sender_id, request.recipient_id
    if sender == recipient:
        return refuse(ERROR_REASON_GIFT_TO_SELF, owner_id=sender)
    if refused := may_move(books.owners[sender]) or may_move(books.owners[recipient]):
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
        within_limit(diamonds)
        or can_spend(books.accounts[request.sender_id, UNIT_COIN], coins)
        or room_for(books.accounts[request.recipient_id, UNIT_DIAMOND], diamonds)
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
