"""From the wire to a command, and back from a transaction."""

from __future__ import annotations

import os
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
from giftpay_server.ledger.model import AMOUNT_LIMIT, Command, Personal, Transaction
from giftpay_server.protobuf import timestamp
from giftpay_server.wire.fields import valid_context, valid_id, valid_number, valid_text
from giftpay_server.wire.keys import transaction_id

COUNT_MAX = 10_000
MESSAGE_MAX = 200  # characters


def gift_command(request: SendGiftRequest, *, caller: str) -> Command:
    """The command that a request asks for; the request becomes what is stored.

    Raises InvalidArgumentError naming the first malformed field.
    """
    # A preview has no key: nothing is recorded under it.
    key = "" if request.validate_only else transaction_id(request.idempotency_key, caller=caller)
    _check(request)
    request.ClearField("idempotency_key")
    request.ClearField("validate_only")
    request.count = request.count or 1
    personal = _personal(request)
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_GIFT,
        request=request,
        accounts=((request.sender_id, UNIT_COIN), (request.recipient_id, UNIT_DIAMOND)),
        decide=partial(rules.send_gift, request),
        personal=personal,
        moves_only=True,
    )


def _check(request: SendGiftRequest) -> None:
    valid_id(request.sender_id, "sender_id")
    valid_id(request.recipient_id, "recipient_id")
    valid_id(request.gift_id, "gift_id")
    valid_number(request.count, "count", least=0, most=COUNT_MAX)
    if request.message:
        valid_text(request.message, "message", most=MESSAGE_MAX)
    if request.context:
        valid_context(request.context, "context")
    if request.combo_id:
        valid_id(request.combo_id, "combo_id")
    if request.HasField("expected_coins"):
        valid_number(request.expected_coins, "expected_coins", least=1, most=AMOUNT_LIMIT)


def _personal(request: SendGiftRequest) -> Personal | None:
    if not request.message:
        return None
    words = request.message
    request.ClearField("message")
    return Personal(request.sender_id, "message", words, salt=os.urandom(16))


def tell_gift(
    gift: Gift, request: SendGiftRequest, transaction: Transaction, *, words: str
) -> None:
    """Writes the gift that a posted transaction made into the answer, in its place.

    In its place, since a message that is handed over is copied; a batch has a thousand of them.
    """
    gift.MergeFromString(transaction.answer)  # coins and diamonds
    gift.transaction_id = transaction.id
    gift.sender_id = request.sender_id
    gift.recipient_id = request.recipient_id
    gift.gift_id = request.gift_id
    gift.count = request.count
    gift.message = words
    gift.context = request.context
    gift.combo_id = request.combo_id
    gift.catalog_version = transaction.catalog_version
    gift.create_time.CopyFrom(timestamp(transaction.create_time))


def sent_gift(sent: SentGift) -> Gift:
    """A gift as it was read from the books."""
    gift = Gift(reversal_id=sent.reversal_id)
    request = SendGiftRequest.FromString(sent.transaction.request)
    tell_gift(gift, request, sent.transaction, words=sent.message)
    return gift
