"""Registers the gift slice."""

from giftpay.v1 import (
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_PLATFORM_LOSS,
    TRANSACTION_KIND_GIFT,
    TRANSACTION_KIND_GIFT_REVERSAL,
    UNIT_COIN,
    UNIT_DIAMOND,
)

from giftpay_server.gift.checks import CHECKS
from giftpay_server.gift.details import add_gift, reversed_gift_id
from giftpay_server.gift.service import GiftService
from giftpay_server.gift.store import TABLES
from giftpay_server.ledger.movements import credit, debit
from giftpay_server.registration import Details, Slice

GIFTS = Slice(
    service_name="GiftService",
    service=lambda parts: GiftService(parts.journal, parts.pool, parts.reads),
    tables=TABLES,
    checks=CHECKS,
    movements={
        # Shared: other kinds that earn a creator diamonds use the same system account.
        TRANSACTION_KIND_GIFT: (
            debit(UNIT_COIN, SYSTEM_ACCOUNT_GIFT_SALES, "the price, of the sender", shared=True),
            credit(
                UNIT_DIAMOND,
                SYSTEM_ACCOUNT_CREATOR_EARNINGS,
                "what it earns the recipient",
                shared=True,
            ),
        ),
        TRANSACTION_KIND_GIFT_REVERSAL: (
            credit(UNIT_COIN, SYSTEM_ACCOUNT_GIFT_SALES, "the price, a reversal lot", shared=True),
            credit(
                UNIT_DIAMOND,
                SYSTEM_ACCOUNT_PLATFORM_LOSS,
                "what the platform bears, if anything",
                shared=True,
            ),
            debit(
                UNIT_DIAMOND, SYSTEM_ACCOUNT_CREATOR_EARNINGS, "what the gift earned", shared=True
            ),
        ),
    },
    details={
        TRANSACTION_KIND_GIFT: Details(add_gift),
        TRANSACTION_KIND_GIFT_REVERSAL: Details(add_gift, reversed_id=reversed_gift_id),
    },
)
