"""What a gift costs, who may send it, and which legs it makes. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from giftpay.v1 import (
    ERROR_REASON_AMOUNT_LIMIT,
    ERROR_REASON_GIFT_OFF_SALE,
    ERROR_REASON_GIFT_TO_SELF,
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_NO_CATALOG,
    ERROR_REASON_PRICE_CHANGED,
    ERROR_REASON_UNKNOWN_GIFT,
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    UNIT_COIN,
    UNIT_DIAMOND,
    Gift,
    SendGiftRequest,
)

from giftpay_server.catalog.rules import Catalog
from giftpay_server.ledger.gates import may_move, room_for
from giftpay_server.ledger.model import AMOUNT_LIMIT, Books, Decision, Leg, Posted, Refused, refuse


class GiftContext(NamedTuple):
    """Where a gift was received, for those that name a context."""

    owner_id: str
    context: str
    seq: int  # of the recipient's diamond entry

    @property
    def key(self) -> GiftContext:
        return self


def send_gift(request: SendGiftRequest, books: Books) -> Decision:
    """Coins leave the sender for GIFT_SALES, diamonds reach the recipient from CREATOR_EARNINGS."""
    sender, recipient = request.sender_id, request.recipient_id
    if sender == recipient:
        return refuse(ERROR_REASON_GIFT_TO_SELF, owner_id=sender)
    if refused := may_move(books.owners[sender]) or may_move(books.owners[recipient]):
        return refused
    if books.catalog is None:
        return refuse(ERROR_REASON_NO_CATALOG)
    coins = _price(request, books.catalog)
    if isinstance(coins, Refused):
        return coins
    diamonds = books.catalog.diamonds(coins)
    if refused := _funds(request, books, coins=coins, diamonds=diamonds):
        return refused
    return _posted(request, books, coins=coins, diamonds=diamonds)


def _price(request: SendGiftRequest, catalog: Catalog) -> int | Refused:
    gift, version = catalog.gifts.get(request.gift_id), catalog.version
    if gift is None:
        return refuse(ERROR_REASON_UNKNOWN_GIFT, gift_id=request.gift_id, catalog_version=version)
    if gift.off_sale:
        return refuse(ERROR_REASON_GIFT_OFF_SALE, gift_id=gift.gift_id, catalog_version=version)
    coins, expected = gift.coins * request.count, request.expected_coins
    if request.HasField("expected_coins") and expected != coins:
        return refuse(
            ERROR_REASON_PRICE_CHANGED, expected=expected, actual=coins, catalog_version=version
        )
    return coins


def _funds(request: SendGiftRequest, books: Books, *, coins: int, diamonds: int) -> Refused | None:
    if (most := max(coins, diamonds)) > AMOUNT_LIMIT:
        return refuse(ERROR_REASON_AMOUNT_LIMIT, amount=most, limit=AMOUNT_LIMIT)
    available = books.accounts[request.sender_id, UNIT_COIN].available
    if available < coins:
        return refuse(
            ERROR_REASON_INSUFFICIENT_COINS,
            owner_id=request.sender_id,
            available=available,
            required=coins,
        )
    return room_for(books.accounts[request.recipient_id, UNIT_DIAMOND], diamonds)


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
