"""The typed client of giftpay: top up coins, send gifts, redeem diamonds, over gRPC.

    async with giftpay.connect() as client:
        await client.gifts.SendGift(SendGiftRequest(sender_id="anna", recipient_id="ben", ...))

The messages are in `giftpay.v1`. The errors are drawn as a tree in `giftpay.refusals`.
"""

from giftpay.client import Client as Client
from giftpay.client import connect as connect
from giftpay.errors import GiftpayError as GiftpayError
from giftpay.errors import NotFound as NotFound
from giftpay.errors import OutcomeUnknown as OutcomeUnknown
from giftpay.errors import Refused as Refused
from giftpay.errors import Unavailable as Unavailable
from giftpay.keys import new_key as new_key
from giftpay.refusals import *
from giftpay.status import refusal_error as refusal_error
from giftpay.sync import SyncClient as SyncClient
from giftpay.sync import connect_sync as connect_sync
