"""What a statement's line says of a gift, and of the reversal of one."""

from __future__ import annotations

from giftpay.v1 import Entry, ReverseGiftRequest, SendGiftRequest

from giftpay_server.registration import TransactionRequest


def add_gift(entry: Entry, asked: TransactionRequest) -> None:
    """Adds what was given."""
    request = SendGiftRequest.FromString(asked.request)
    entry.gift.gift_id = request.gift_id
    entry.gift.count = request.count
    entry.gift.message = asked.text
    entry.gift.context = request.context
    entry.gift.combo_id = request.combo_id


def reversed_gift_id(request: bytes) -> str:
    """The transaction that a reversal undid."""
    return ReverseGiftRequest.FromString(request).transaction_id
