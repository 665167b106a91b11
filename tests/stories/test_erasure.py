"""Erasing a person while something of theirs is on its way."""

from __future__ import annotations

import asyncio

from giftpay.client import Client
from giftpay.v1 import ErasePersonalDataRequest, GetGiftRequest, SendGiftRequest
from giftpay_server.postgres.pool import Pool

from tests.conftest import OpenWallet
from tests.stories.blocking import blocked, round_trips


async def test_messages_accepted_before_the_erasure_are_erased(
    client: Client, pool: Pool, open_wallet: OpenWallet
) -> None:
    anna, ben, cleo = await open_wallet(coins=9), await open_wallet(), await open_wallet(coins=9)
    in_the_way, gift = (
        SendGiftRequest(sender_id=sender, recipient_id=ben, gift_id="rose", message="call me")
        for sender in (cleo, anna)
    )
    async with blocked(pool):
        first = asyncio.ensure_future(client.gifts.SendGift(in_the_way))
        await round_trips(client, anna)
        sent = asyncio.ensure_future(client.gifts.SendGift(gift))
        await round_trips(client, anna)
        request = ErasePersonalDataRequest(owner_id=anna)
        erased = asyncio.ensure_future(client.admin.ErasePersonalData(request))
        await round_trips(client, anna)
    await asyncio.gather(first, sent, erased)
    named = GetGiftRequest(transaction_id=gift.idempotency_key)
    assert (await client.gifts.GetGift(named)).gift.message == ""
