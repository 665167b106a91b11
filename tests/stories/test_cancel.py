"""A caller who goes: what was not taken is never decided, what was taken is decided once."""

from __future__ import annotations

import asyncio

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import BatchSendGiftsRequest, SendGiftRequest
from giftpay_server.postgres.pool import Pool

from tests.conftest import OpenWallet
from tests.stories.blocking import blocked, round_trips
from tests.stories.wallets import balances, is_decided


def rose(sender_id: str, recipient_id: str) -> SendGiftRequest:
    key = giftpay.new_key()
    return SendGiftRequest(
        idempotency_key=key, sender_id=sender_id, recipient_id=recipient_id, gift_id="rose"
    )


async def test_a_gift_cancelled_before_it_was_taken_is_never_sent(
    client: Client, pool: Pool, open_wallet: OpenWallet
) -> None:
    anna, ben, cleo = await open_wallet(coins=9), await open_wallet(), await open_wallet(coins=9)
    first, one, *batch = [rose(anna, ben), *(rose(cleo, ben) for _ in range(3))]
    async with blocked(pool):
        answer = asyncio.ensure_future(client.gifts.SendGift(first))
        await round_trips(client, anna)
        gone = asyncio.ensure_future(client.gifts.SendGift(one))
        whole = BatchSendGiftsRequest(gifts=batch)
        gone_batch = asyncio.ensure_future(client.gifts.BatchSendGifts(whole))
        await round_trips(client, anna)
        gone.cancel()
        gone_batch.cancel()
        await round_trips(client, anna)
    assert not (await answer).replayed
    assert not (await client.gifts.SendGift(rose(anna, ben))).replayed  # the queue was emptied
    assert [await is_decided(client, request) for request in (one, *batch)] == [False] * 3
    assert await balances(client, cleo) == (9, 0)
    assert not (await client.gifts.SendGift(one)).replayed
    assert await balances(client, cleo) == (8, 0)


async def test_a_gift_cancelled_after_it_was_taken_is_sent_once(
    client: Client, pool: Pool, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=9), await open_wallet()
    request = rose(anna, ben)
    async with blocked(pool):
        gone = asyncio.ensure_future(client.gifts.SendGift(request))
        await round_trips(client, anna)
        gone.cancel()
        await round_trips(client, anna)
    answer = await client.gifts.SendGift(request)
    assert answer.replayed
    assert answer.gift.transaction_id == request.idempotency_key
    assert await is_decided(client, request)
    assert await balances(client, ben) == (0, 1)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_gift_whose_deadline_passes_is_unknown_until_it_is_asked_for(
    client: Client, pool: Pool, open_wallet: OpenWallet, taken: bool
) -> None:
    anna, ben, cleo = await open_wallet(coins=9), await open_wallet(), await open_wallet(coins=9)
    request = rose(anna if taken else cleo, ben)
    async with blocked(pool):
        if not taken:
            in_the_way = asyncio.ensure_future(client.gifts.SendGift(rose(anna, ben)))
            await round_trips(client, anna)
        with pytest.raises(giftpay.OutcomeUnknown) as unknown:
            await client.gifts.SendGift(request, timeout=0.5)
        assert not await is_decided(client, request)
        await round_trips(client, anna)
    assert unknown.value.code is not None
    assert unknown.value.code.name == "DEADLINE_EXCEEDED"
    assert unknown.value.key == request.idempotency_key
    if not taken:
        await in_the_way
    answer = await client.gifts.SendGift(request)
    assert answer.replayed is taken
    assert await is_decided(client, request)
    assert await balances(client, request.sender_id) == (8, 0)
