"""Gifts to send, and what they moved."""

from __future__ import annotations

from typing import Any

import giftpay
from giftpay.client import Client
from giftpay.v1 import GetWalletRequest, SendGiftRequest


def gift(sender_id: str, recipient_id: str, **fields: Any) -> SendGiftRequest:
    """A request for a rose with a new key, unless `fields` say otherwise."""
    wanted = {"idempotency_key": giftpay.new_key(), "gift_id": "rose", **fields}
    return SendGiftRequest(sender_id=sender_id, recipient_id=recipient_id, **wanted)


async def balances(client: Client, owner_id: str) -> tuple[int, int]:
    """An owner's coins and diamonds."""
    answer = await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
    return answer.wallet.coins.balance, answer.wallet.diamonds.balance
