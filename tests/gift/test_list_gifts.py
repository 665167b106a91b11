"""GetGift, ListGiftsReceived and ListGiftsSent."""

from __future__ import annotations

import base64
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    BatchSendGiftsRequest,
    GetGiftRequest,
    Gift,
    ListGiftsReceivedRequest,
    ListGiftsSentRequest,
)
from giftpay_server.gift.store import LIST_RECEIVED, LIST_RECEIVED_IN_CONTEXT, LIST_SENT
from grpc import StatusCode

from tests.conftest import OpenWallet
from tests.gift.gifts import gift
from tests.refusals import refused

MALFORMED = StatusCode.INVALID_ARGUMENT
OTHER_LIST = {"field": "page_token", "limit": "the next_page_token of this same list"}


async def give(client: Client, sender: str, recipient: str, contexts: list[str]) -> list[str]:
    gifts = [gift(sender, recipient, context=context) for context in contexts]
    await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    return [item.idempotency_key for item in gifts]


async def received(client: Client, owner_id: str, *, context: str, size: int) -> list[str]:
    found: list[Gift] = []
    token = ""
    while True:
        request = ListGiftsReceivedRequest(
            owner_id=owner_id, context=context, page_size=size, page_token=token
        )
        page = await client.gifts.ListGiftsReceived(request)
        assert len(page.gifts) <= size
        found += page.gifts
        if not (token := page.next_page_token):
            return [item.transaction_id for item in found]


@pytest.mark.parametrize("size", [1, 3, 6, 7])
async def test_pages_together_are_the_list_newest_first(
    client: Client, open_wallet: OpenWallet, size: int
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    keys = await give(client, anna, ben, ["live/1", "", "live/2", "live/1", "", "live/1"])
    assert await received(client, ben, context="", size=size) == keys[::-1]
    in_live_1 = [keys[5], keys[3], keys[0]]
    assert await received(client, ben, context="live/1", size=size) == in_live_1
    assert await received(client, ben, context="live/9", size=size) == []


async def test_gifts_sent_are_listed_by_their_sender(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben, cleo = await open_wallet(coins=9), await open_wallet(), await open_wallet()
    first = await give(client, anna, ben, [""])
    second = await give(client, anna, cleo, [""])
    page = await client.gifts.ListGiftsSent(ListGiftsSentRequest(owner_id=anna, page_size=1))
    assert [item.transaction_id for item in page.gifts] == second
    request = ListGiftsSentRequest(owner_id=anna, page_size=1, page_token=page.next_page_token)
    last = await client.gifts.ListGiftsSent(request)
    assert [item.transaction_id for item in last.gifts] == first
    assert last.next_page_token == ""


async def test_a_page_token_refuses_changed_filters(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=9), await open_wallet()
    await give(client, anna, ben, ["live/1", "live/1"])
    request = ListGiftsReceivedRequest(owner_id=ben, context="live/1", page_size=1)
    token = (await client.gifts.ListGiftsReceived(request)).next_page_token
    for change in ({"context": "live/2"}, {"owner_id": anna}, {"page_token": "x" + token}):
        fields: dict[str, Any] = {"owner_id": ben, "context": "live/1", "page_token": token}
        with refused(giftpay.InvalidArgument, MALFORMED, **OTHER_LIST):
            await client.gifts.ListGiftsReceived(ListGiftsReceivedRequest(**{**fields, **change}))


async def test_a_negative_page_size_is_malformed(client: Client) -> None:
    with refused(giftpay.InvalidArgument, MALFORMED, field="page_size", limit="0..1000"):
        await client.gifts.ListGiftsSent(ListGiftsSentRequest(owner_id="anna", page_size=-1))


@pytest.mark.parametrize("text", ["", "null", "{}", "[1]", "[" * 200_000])
async def test_an_invalid_page_token_is_malformed(client: Client, text: str) -> None:
    token = base64.urlsafe_b64encode(text.encode()).decode() or "="
    with refused(giftpay.InvalidArgument, MALFORMED, **OTHER_LIST):
        await client.gifts.ListGiftsSent(ListGiftsSentRequest(owner_id="anna", page_token=token))


async def test_a_refused_gift_is_not_to_be_found(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(), await open_wallet()
    request = gift(anna, ben)
    with pytest.raises(giftpay.InsufficientCoins):
        await client.gifts.SendGift(request)
    key = request.idempotency_key
    with refused(giftpay.GiftNotFound, StatusCode.NOT_FOUND, transaction_id=key):
        await client.gifts.GetGift(GetGiftRequest(transaction_id=key))


@pytest.mark.parametrize("transaction_id", ["", "x", "0198C0DE-0000-7000-8000-000000000000"])
async def test_a_gift_is_named_by_a_canonical_uuid(client: Client, transaction_id: str) -> None:
    figures = {"field": "transaction_id", "limit": "a UUID of 36 characters, in lower case"}
    with refused(giftpay.InvalidArgument, MALFORMED, **figures):
        await client.gifts.GetGift(GetGiftRequest(transaction_id=transaction_id))


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (LIST_RECEIVED, "entry_pkey"),
        (LIST_RECEIVED_IN_CONTEXT, "gift_context_pkey"),
        (LIST_SENT, "entry_pkey"),
    ],
)
async def test_lists_are_read_by_index(
    pool: asyncpg.Pool[asyncpg.Record], statement: str, index: str
) -> None:
    context = ["live/1"] if "$4" in statement else []
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")  # tables of tests are tiny
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        plan = await connection.fetch(f"EXPLAIN {statement}", "anna", 2**62, 51, *context)
    text = "\n".join(row[0] for row in plan)
    assert f"using {index}" in text
    assert "Sort" not in text
