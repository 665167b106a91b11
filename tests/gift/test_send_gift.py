"""SendGift over the wire: movements and replays."""

from __future__ import annotations

import asyncio

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    GetGiftRequest,
    GetTransactionRequest,
    ListEntriesRequest,
    OpenWalletRequest,
    SendGiftRequest,
)

from tests.conftest import OpenWallet
from tests.gift.gifts import balances, gift


async def test_a_gift_moves_coins_and_earns_diamonds(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=1_000), await open_wallet()
    request = gift(anna, ben, gift_id="live", count=3, context="live/123", combo_id="c1")
    request.message = "Bravo, Ben! 👏"
    answer = await client.gifts.SendGift(request)
    sent = answer.gift
    assert (sent.coins, sent.diamonds, sent.count) == (15, 15, 3)
    assert (sent.sender_id, sent.recipient_id, sent.gift_id) == (anna, ben, "live")
    assert (sent.message, sent.context, sent.combo_id) == ("Bravo, Ben! 👏", "live/123", "c1")
    assert sent.transaction_id == request.idempotency_key
    assert not answer.replayed
    assert await balances(client, anna) == (985, 0)
    assert await balances(client, ben) == (0, 15)


async def test_the_same_gift_again_is_the_same_answer(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    request = gift(anna, ben, message="once", context="profile")
    first = await client.gifts.SendGift(request)
    again = await client.gifts.SendGift(request)
    assert again.replayed
    assert again.gift == first.gift
    assert await balances(client, anna) == (9, 0)
    read = await client.gifts.GetGift(GetGiftRequest(transaction_id=request.idempotency_key))
    assert read.gift == first.gift


async def test_a_request_object_sent_twice_without_a_key_is_one_gift(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    request = SendGiftRequest(sender_id=anna, recipient_id=ben, gift_id="rose")
    await client.gifts.SendGift(request)
    assert (await client.gifts.SendGift(request)).replayed
    assert await balances(client, anna) == (9, 0)


async def test_any_text_is_a_key(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    request = gift(anna, ben, idempotency_key=f"room 7, tap № 12 of {anna}")
    first = await client.gifts.SendGift(request)
    assert (await client.gifts.SendGift(request)).gift == first.gift
    found = await client.wallets.GetTransaction(
        GetTransactionRequest(idempotency_key=request.idempotency_key)
    )
    assert found.transaction.transaction_id == first.gift.transaction_id
    assert len(found.transaction.posted.entries) == 2


@pytest.mark.parametrize("key", ["00000000-0000-0000-0000-000000000000", "A" * 36])
async def test_a_key_that_only_looks_like_an_id_is_text(
    client: Client, open_wallet: OpenWallet, key: str
) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    try:
        sent = await client.gifts.SendGift(gift(anna, ben, idempotency_key=key))
        assert sent.gift.transaction_id != key
    except giftpay.KeyReused:  # an earlier run on this database used the text
        pass


async def test_a_preview_answers_alike_and_records_nothing(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    request = gift(anna, ben, gift_id="live", message="soon", context="live/1")
    preview = SendGiftRequest()
    preview.CopyFrom(request)
    preview.validate_only = True
    seen = (await client.gifts.SendGift(preview)).gift
    assert await balances(client, anna) == (10, 0)
    sent = (await client.gifts.SendGift(request)).gift
    assert (seen.transaction_id, sent.transaction_id) == ("", request.idempotency_key)
    for gift_ in (seen, sent):
        gift_.ClearField("transaction_id")
        gift_.ClearField("create_time")
    assert seen == sent


async def test_the_same_key_from_64_callers_at_once_is_one_gift(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()
    key = giftpay.new_key()
    answers = await asyncio.gather(
        *(client.gifts.SendGift(gift(anna, ben, idempotency_key=key)) for _ in range(64))
    )
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 63
    assert len({answer.gift.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert await balances(client, anna) == (99, 0)


async def test_concurrent_gifts_never_overspend(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=30), await open_wallet()
    answers = await asyncio.gather(
        *(client.gifts.SendGift(gift(anna, ben)) for _ in range(64)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, giftpay.InsufficientCoins)]
    assert len(refused) == 34
    assert await balances(client, anna) == (0, 0)
    assert await balances(client, ben) == (0, 30)


async def test_the_gift_is_on_both_statements(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    await client.gifts.SendGift(gift(anna, ben, count=4, message="hi", context="video/9"))
    for owner_id, other, unit, amount in ((anna, ben, UNIT_COIN, -4), (ben, anna, UNIT_DIAMOND, 4)):
        wanted = ListEntriesRequest(owner_id=owner_id, unit=unit, page_size=1)
        (entry,) = (await client.wallets.ListEntries(wanted)).entries
        assert (entry.amount, entry.counterpart_id) == (amount, other)
        assert (entry.gift.gift_id, entry.gift.count, entry.gift.message) == ("rose", 4, "hi")


async def test_owners_named_alike_but_for_case_are_two(
    client: Client, open_wallet: OpenWallet
) -> None:
    lower = await open_wallet(coins=5)
    upper = lower.upper()
    opening = OpenWalletRequest(owner_id=upper, country_code="DE", age_verified=True)
    await client.wallets.OpenWallet(opening)
    await client.gifts.SendGift(gift(lower, upper))
    assert await balances(client, upper) == (0, 1)
