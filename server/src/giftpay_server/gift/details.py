"""The details of gifts and reversals in the lines of a statement."""

from __future__ import annotations

from giftpay.v1 import Entry, ReverseGiftRequest, SendGiftRequest

from giftpay_server.registration import TransactionRequest


def add_gift(entry: Entry, asked: TransactionRequest) -> None:
    """Adds the gift's details to an entry."""
    request = SendGiftRequest.FromString(asked.request)
    gift = entry.gift
    gift.gift_id = request.gift_id
    gift.count = request.count
    gift.message = asked.text
    gift.context = request.context
    gift.combo_id = request.combo_id


def reversed_gift_id(request: bytes) -> str:
    """The transaction that a reversal reversed."""
    return ReverseGiftRequest.FromString(request).transaction_id
