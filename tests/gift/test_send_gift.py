"""SendGift over the wire: what moves, what is refused, what is sent again."""

from __future__ import annotations

import asyncio
from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    GetGiftRequest,
    GetTransactionRequest,
    GetWalletRequest,
    ListEntriesRequest,
    OpenWalletRequest,
    SendGiftRequest,
    UpdateWalletRequest,
)

from tests.conftest import OpenWallet


def gift(sender_id: str, recipient_id: str, **fields: Any) -> SendGiftRequest:
    wanted = {"idempotency_key": giftpay.new_key(), "gift_id": "rose", **fields}
    return SendGiftRequest(sender_id=sender_id, recipient_id=recipient_id, **wanted)


async def balances(client: Client, owner_id: str) -> tuple[int, int]:
    answer = await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
    return answer.wallet.coins.balance, answer.wallet.diamonds.balance


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


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"count": 2}, "count"),
        ({"gift_id": "live"}, "gift_id"),
        ({"message": "other"}, "message"),
        ({"message": ""}, "message"),
        ({"context": "video/9"}, "context"),
        ({"combo_id": "c2"}, "combo_id"),
        ({"expected_coins": 1}, "expected_coins"),
    ],
)
async def test_the_same_key_with_other_contents_is_refused_by_name(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any], field: str
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    fields: dict[str, Any] = {"idempotency_key": giftpay.new_key(), "message": "words"}
    await client.gifts.SendGift(gift(anna, ben, **fields))
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.gifts.SendGift(gift(anna, ben, **{**fields, **change}))
    assert refused.value.fields == (field,)
    assert "words" not in str(refused.value)
    assert await balances(client, anna) == (9, 0)


async def test_the_same_key_for_other_owners_is_refused_by_name(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben, cleo = await open_wallet(coins=10), await open_wallet(), await open_wallet(coins=5)
    key = giftpay.new_key()
    await client.gifts.SendGift(gift(anna, ben, idempotency_key=key))
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.gifts.SendGift(gift(cleo, anna, idempotency_key=key))
    assert refused.value.fields == ("sender_id", "recipient_id")


async def test_a_refusal_is_pinned_to_its_key(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    request = gift(anna, ben, gift_id="live")
    with pytest.raises(giftpay.InsufficientCoins) as refused:
        await client.gifts.SendGift(request)
    assert (refused.value.available, refused.value.required) == (1, 5)
    adjustment = AdjustBalanceRequest(owner_id=anna, unit=UNIT_COIN, amount=100, reason="test")
    await client.admin.AdjustBalance(adjustment)
    with pytest.raises(giftpay.InsufficientCoins) as again:
        await client.gifts.SendGift(request)
    assert (again.value.available, again.value.required) == (1, 5)
    named = GetTransactionRequest(transaction_id=request.idempotency_key)
    decided = (await client.wallets.GetTransaction(named)).transaction
    assert decided.refusal.metadata["available"] == "1"
    assert await balances(client, anna) == (101, 0)


async def test_a_gift_to_oneself_is_refused(client: Client, open_wallet: OpenWallet) -> None:
    anna = await open_wallet(coins=10)
    with pytest.raises(giftpay.GiftToSelf):
        await client.gifts.SendGift(gift(anna, anna))


async def test_an_unknown_gift_is_refused(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    with pytest.raises(giftpay.UnknownGift) as refused:
        await client.gifts.SendGift(gift(anna, ben, gift_id="rosee"))
    assert refused.value.gift_id == "rosee"


@pytest.mark.parametrize("missing", ["sender", "recipient"])
async def test_an_owner_without_a_wallet_is_refused(
    client: Client, open_wallet: OpenWallet, missing: str
) -> None:
    anna = await open_wallet(coins=10)
    pair = ("nobody", anna) if missing == "sender" else (anna, "nobody")
    with pytest.raises(giftpay.WalletNotFound) as refused:
        await client.gifts.SendGift(gift(*pair))
    assert refused.value.owner_id == "nobody"


@pytest.mark.parametrize("frozen", ["sender", "recipient"])
async def test_a_frozen_side_is_refused_until_it_is_unfrozen(
    client: Client, open_wallet: OpenWallet, frozen: str
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    owner_id = anna if frozen == "sender" else ben
    freeze = UpdateWalletRequest(owner_id=owner_id, status=WALLET_STATUS_FROZEN)
    await client.wallets.UpdateWallet(freeze)
    with pytest.raises(giftpay.WalletFrozen) as refused:
        await client.gifts.SendGift(gift(anna, ben))
    assert refused.value.owner_id == owner_id


async def test_a_closed_side_is_refused(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    close = UpdateWalletRequest(owner_id=ben, status=WALLET_STATUS_CLOSED)
    await client.wallets.UpdateWallet(close)
    with pytest.raises(giftpay.WalletClosed):
        await client.gifts.SendGift(gift(anna, ben))


async def test_a_price_can_be_pinned(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()
    await client.gifts.SendGift(gift(anna, ben, gift_id="live", count=2, expected_coins=10))
    with pytest.raises(giftpay.PriceChanged) as refused:
        await client.gifts.SendGift(gift(anna, ben, gift_id="live", count=2, expected_coins=9))
    assert (refused.value.expected, refused.value.actual) == (9, 10)


async def test_a_recipient_cannot_hold_more_than_the_limit(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    for _ in range(1_000):
        await client.admin.AdjustBalance(
            AdjustBalanceRequest(owner_id=ben, unit=UNIT_DIAMOND, amount=10**12, reason="test")
        )
    with pytest.raises(giftpay.BalanceLimit) as refused:
        await client.gifts.SendGift(gift(anna, ben))
    assert (refused.value.owner_id, refused.value.limit) == (ben, 10**15)


MALFORMED = [
    ({"sender_id": ""}, "sender_id"),
    ({"sender_id": "a b"}, "sender_id"),
    ({"sender_id": "~GIFT_SALES~0"}, "sender_id"),
    ({"sender_id": "x" * 65}, "sender_id"),
    ({"recipient_id": "ünï"}, "recipient_id"),
    ({"gift_id": ""}, "gift_id"),
    ({"count": -1}, "count"),
    ({"count": 10_001}, "count"),
    ({"message": "x" * 201}, "message"),
    ({"message": "nul \0 byte"}, "message"),
    ({"context": "live 123"}, "context"),
    ({"context": "x" * 65}, "context"),
    ({"combo_id": "a/b"}, "combo_id"),
    ({"expected_coins": -5}, "expected_coins"),
    ({"expected_coins": 0}, "expected_coins"),
    ({"expected_coins": 10**12 + 1}, "expected_coins"),
    ({"idempotency_key": "k" * 129}, "idempotency_key"),
]


@pytest.mark.parametrize(("change", "field"), MALFORMED)
async def test_a_malformed_field_is_named_and_nothing_is_decided(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any], field: str
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    key = giftpay.new_key()
    fields = {"idempotency_key": key, "sender_id": anna, "recipient_id": ben, "gift_id": "rose"}
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await client.gifts.SendGift(SendGiftRequest(**{**fields, **change}))
    assert refused.value.field == field
    assert refused.value.code is not None
    assert refused.value.code.name == "INVALID_ARGUMENT"
    with pytest.raises(giftpay.TransactionNotFound):
        await client.wallets.GetTransaction(GetTransactionRequest(transaction_id=key))


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


async def test_a_preview_refuses_what_the_gift_would_be_refused_for(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    cases: list[dict[str, Any]] = [{"gift_id": "live"}, {"gift_id": "no"}, {"recipient_id": "no"}]
    for fields in cases:
        request = gift(anna, ben)
        request.MergeFrom(SendGiftRequest(**fields))
        preview = SendGiftRequest()
        preview.CopyFrom(request)
        preview.validate_only = True
        with pytest.raises(giftpay.Refused) as previewed:
            await client.gifts.SendGift(preview)
        with pytest.raises(giftpay.Refused) as refused:
            await client.gifts.SendGift(request)
        assert previewed.value.reason == refused.value.reason
        assert previewed.value.metadata == refused.value.metadata


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


async def test_the_statement_tells_the_gift_on_both_sides(
    client: Client, open_wallet: OpenWallet
) -> None:
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
