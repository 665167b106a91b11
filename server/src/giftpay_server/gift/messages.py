"""Makes commands of gift requests, and gifts of transactions."""

from __future__ import annotations

from functools import partial

from giftpay.v1 import (
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    UNIT_DIAMOND,
    Gift,
    SendGiftRequest,
)

from giftpay_server.gift import rules
from giftpay_server.gift.store import SentGift
from giftpay_server.ledger.model import Command, Transaction
from giftpay_server.ledger.replay import read_answer
from giftpay_server.protobuf import timestamp
from giftpay_server.wire.commands import Asked


def gift_command(asked: Asked[SendGiftRequest]) -> Command:
    """The command to send a gift."""
    request = asked.request
    if not request.count:
        request.count = 1
    return asked.command(
        TRANSACTION_KIND_GIFT,
        ((request.sender_id, UNIT_COIN), (request.recipient_id, UNIT_DIAMOND)),
        partial(rules.send_gift, request),
        moves_only=True,
    )


def fill_gift(
    gift: Gift, request: SendGiftRequest, transaction: Transaction, *, message: str
) -> None:
    """Fills in the gift that a posted transaction made.

    In place, since assigning a message copies it, and a batch has a thousand of them.
    """
    read_answer(transaction, into=gift)  # coins and diamonds
    gift.transaction_id = transaction.id
    gift.sender_id = request.sender_id
    gift.recipient_id = request.recipient_id
    gift.gift_id = request.gift_id
    gift.count = request.count
    if message:
        gift.message = message
    if request.context:
        gift.context = request.context
    if request.combo_id:
        gift.combo_id = request.combo_id
    gift.catalog_version = transaction.catalog_version
    gift.create_time.CopyFrom(timestamp(transaction.create_time))


def sent_gift(sent: SentGift) -> Gift:
    """The message of a stored gift."""
    gift = Gift(reversal_id=sent.reversal_id)
    request = SendGiftRequest.FromString(sent.transaction.request)
    fill_gift(gift, request, sent.transaction, message=sent.message)
    return gift
