"""The typed client of giftpay: top up coins, send gifts, redeem diamonds, over gRPC.

    async with giftpay.connect() as client:
        await client.gifts.SendGift(SendGiftRequest(sender_id="anna", recipient_id="ben", ...))

The messages are in `giftpay.v1`. The docstring of `giftpay.refusals` shows the tree of errors.
"""

from giftpay import refusals
from giftpay.client import Client, connect
from giftpay.errors import (
    Exhausted,
    GiftpayError,
    Malformed,
    NotFound,
    OutcomeUnknown,
    Refused,
    RequestTooLarge,
    Unavailable,
)
from giftpay.keys import new_key
from giftpay.refusals import *
from giftpay.status import refusal_error
from giftpay.sync import SyncClient, connect_sync

__all__ = [
    "Client",
    "Exhausted",
    "GiftpayError",
    "Malformed",
    "NotFound",
    "OutcomeUnknown",
    "Refused",
    "RequestTooLarge",
    "SyncClient",
    "Unavailable",
    "connect",
    "connect_sync",
    "new_key",
    "refusal_error",
]
__all__ += refusals.__all__
