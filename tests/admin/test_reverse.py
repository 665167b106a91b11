"""ReverseGift: a gift is unwound once, and somebody bears what is no longer there."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay import new_key
from giftpay.client import Client
from giftpay.v1 import (
    SHORTFALL_POLICY_DEBT,
    SHORTFALL_POLICY_PLATFORM_LOSS,
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_PLATFORM_LOSS,
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    Entry,
    GetGiftRequest,
    GetWalletRequest,
    Gift,
    ListEntriesRequest,
    ListGiftsReceivedRequest,
    ListGiftsSentRequest,
    ReverseGiftRequest,
    SendGiftRequest,
    Unit,
    UpdateWalletRequest,
)

from tests.conftest import OpenWallet

LOTS = "SELECT kind, size, source_id::text FROM lot WHERE owner_id = $1 ORDER BY seq"


def reversal(gift: Gift, **fields: Any) -> ReverseGiftRequest:
    wanted: dict[str, Any] = {"idempotency_key": new_key(), "reason": "ticket 7"} | fields
    return ReverseGiftRequest(transaction_id=gift.transaction_id, **wanted)


async def sent(client: Client, sender: str, recipient: str, *, count: int = 10) -> Gift:
    """A gift of one coin apiece."""
    request = SendGiftRequest(sender_id=sender, recipient_id=recipient, gift_id="rose", count=count)
    return (await client.gifts.SendGift(request)).gift


async def spend_diamonds(client: Client, owner_id: str, diamonds: int) -> None:
    await client.admin.AdjustBalance(
        AdjustBalanceRequest(owner_id=owner_id, unit=UNIT_DIAMOND, amount=-diamonds, reason="spent")
    )


async def balances(client: Client, owner_id: str) -> tuple[int, int]:
    wallet = (await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))).wallet
    return wallet.coins.balance, wallet.diamonds.balance


async def last_entries(
    client: Client, owner_id: str, unit: Unit.ValueType, *, count: int
) -> list[Entry]:
    listed = await client.wallets.ListEntries(
        ListEntriesRequest(owner_id=owner_id, unit=unit, page_size=count)
    )
    return list(listed.entries)[::-1]


async def test_a_reversal_returns_the_coins_and_takes_the_diamonds(
    client: Client, open_wallet: OpenWallet, pool: asyncpg.Pool
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gift = await sent(client, anna, ben)
    request = reversal(gift)
    answer = await client.admin.ReverseGift(request)
    assert answer.reversal_id == request.idempotency_key
    assert (answer.coins, answer.diamonds, answer.loss, answer.replayed) == (10, 10, 0, False)
    assert await balances(client, anna) == (10, 0)
    assert await balances(client, ben) == (0, 0)
    (returned,) = await last_entries(client, anna, UNIT_COIN, count=1)
    assert (returned.amount, returned.system_account) == (10, SYSTEM_ACCOUNT_GIFT_SALES)
    (taken,) = await last_entries(client, ben, UNIT_DIAMOND, count=1)
    assert (taken.amount, taken.system_account) == (-10, SYSTEM_ACCOUNT_CREATOR_EARNINGS)
    for entry in (returned, taken):
        assert entry.reversed_transaction_id == gift.transaction_id
    (_, lot) = await pool.fetch(LOTS, anna)
    assert tuple(lot) == (3, 10, gift.transaction_id)


async def test_a_reversed_gift_names_its_reversal_and_stays_listed(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gift = await sent(client, anna, ben)
    answer = await client.admin.ReverseGift(reversal(gift))
    gift.reversal_id = answer.reversal_id
    read = await client.gifts.GetGift(GetGiftRequest(transaction_id=gift.transaction_id))
    assert read.gift == gift
    by_sender = await client.gifts.ListGiftsSent(ListGiftsSentRequest(owner_id=anna))
    by_recipient = await client.gifts.ListGiftsReceived(ListGiftsReceivedRequest(owner_id=ben))
    assert list(by_sender.gifts) == list(by_recipient.gifts) == [gift]


async def test_the_platform_bears_what_is_spent_unless_asked_otherwise(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gift = await sent(client, anna, ben)
    await spend_diamonds(client, ben, 7)
    answer = await client.admin.ReverseGift(reversal(gift))
    assert (answer.coins, answer.diamonds, answer.loss) == (10, 3, 7)
    assert await balances(client, anna) == (10, 0)
    assert await balances(client, ben) == (0, 0)
    borne, taken = await last_entries(client, ben, UNIT_DIAMOND, count=2)
    assert (borne.amount, borne.system_account) == (7, SYSTEM_ACCOUNT_PLATFORM_LOSS)
    assert (taken.amount, taken.system_account) == (-10, SYSTEM_ACCOUNT_CREATOR_EARNINGS)


async def test_debt_is_filled_by_the_next_earnings(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=20), await open_wallet()
    gift = await sent(client, anna, ben)
    await spend_diamonds(client, ben, 7)
    answer = await client.admin.ReverseGift(reversal(gift, shortfall_policy=SHORTFALL_POLICY_DEBT))
    assert (answer.coins, answer.diamonds, answer.loss) == (10, 10, 0)
    assert await balances(client, ben) == (0, -7)
    with pytest.raises(giftpay.InsufficientDiamonds) as refused:
        await spend_diamonds(client, ben, 1)
    assert refused.value.available == -7
    await sent(client, anna, ben)
    assert await balances(client, ben) == (0, 3)
    await spend_diamonds(client, ben, 3)


async def test_debt_on_debt_and_a_loss_on_debt_are_kept_apart(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=30), await open_wallet()
    gifts = [await sent(client, anna, ben) for _ in range(3)]
    await spend_diamonds(client, ben, 30)
    for gift in gifts[:2]:
        await client.admin.ReverseGift(reversal(gift, shortfall_policy=SHORTFALL_POLICY_DEBT))
    assert await balances(client, ben) == (0, -20)
    answer = await client.admin.ReverseGift(reversal(gifts[2]))
    assert (answer.diamonds, answer.loss) == (0, 10)
    assert await balances(client, ben) == (0, -20)
    assert await balances(client, anna) == (30, 0)


async def test_the_same_reversal_again_is_the_same_answer(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gift = await sent(client, anna, ben)
    await spend_diamonds(client, ben, 4)
    request = reversal(gift)
    first = await client.admin.ReverseGift(request)
    request.shortfall_policy = SHORTFALL_POLICY_PLATFORM_LOSS  # what saying nothing means
    again = await client.admin.ReverseGift(request)
    assert again.replayed
    again.replayed = False
    assert again == first


async def test_a_gift_is_reversed_once(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gift = await sent(client, anna, ben)
    ends = await asyncio.gather(
        *(client.admin.ReverseGift(reversal(gift)) for _ in range(32)), return_exceptions=True
    )
    (winner,) = [end for end in ends if not isinstance(end, BaseException)]
    losers = [end for end in ends if isinstance(end, giftpay.GiftAlreadyReversed)]
    assert len(losers) == 31
    assert {(loser.transaction_id, loser.reversal_id) for loser in losers} == {
        (gift.transaction_id, winner.reversal_id)
    }
    assert await balances(client, anna) == (10, 0)
    assert await balances(client, ben) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [{"reason": "ticket 8"}, {"shortfall_policy": SHORTFALL_POLICY_DEBT}],
)
async def test_the_same_key_for_another_reversal_is_refused_by_name(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any]
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    request = reversal(await sent(client, anna, ben))
    await client.admin.ReverseGift(request)
    request.MergeFrom(ReverseGiftRequest(**change))
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.admin.ReverseGift(request)
    assert refused.value.fields == tuple(change)


async def test_only_a_gift_that_was_accepted_is_reversed(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(), await open_wallet(diamonds=5)
    refused_gift, adjusted, unknown = new_key(), new_key(), new_key()
    with pytest.raises(giftpay.InsufficientCoins):
        await client.gifts.SendGift(
            SendGiftRequest(
                idempotency_key=refused_gift, sender_id=anna, recipient_id=ben, gift_id="rose"
            )
        )
    await client.admin.AdjustBalance(
        AdjustBalanceRequest(
            idempotency_key=adjusted, owner_id=anna, unit=UNIT_COIN, amount=1, reason="r"
        )
    )
    for transaction_id in (refused_gift, adjusted, unknown):
        with pytest.raises(giftpay.GiftNotFound) as refused:
            await client.admin.ReverseGift(reversal(Gift(transaction_id=transaction_id)))
        assert refused.value.transaction_id == transaction_id


async def test_a_reversal_before_its_gift_is_refused_for_good(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben, key = await open_wallet(coins=10), await open_wallet(), new_key()
    request = reversal(Gift(transaction_id=key))
    with pytest.raises(giftpay.GiftNotFound):
        await client.admin.ReverseGift(request)
    await client.gifts.SendGift(
        SendGiftRequest(idempotency_key=key, sender_id=anna, recipient_id=ben, gift_id="rose")
    )
    with pytest.raises(giftpay.GiftNotFound):
        await client.admin.ReverseGift(request)
    await client.admin.ReverseGift(reversal(Gift(transaction_id=key)))
    assert await balances(client, anna) == (10, 0)


@pytest.mark.parametrize("status", [WALLET_STATUS_FROZEN, WALLET_STATUS_CLOSED])
async def test_a_gift_is_reversed_whatever_the_wallets_status(
    client: Client, open_wallet: OpenWallet, status: Any
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    gift = await sent(client, anna, ben)
    await spend_diamonds(client, ben, 10)
    for owner_id in (anna, ben):
        await client.wallets.UpdateWallet(UpdateWalletRequest(owner_id=owner_id, status=status))
    answer = await client.admin.ReverseGift(reversal(gift))
    assert (answer.coins, answer.loss) == (10, 10)
    assert await balances(client, anna) == (10, 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"transaction_id": ""}, "transaction_id"),
        ({"transaction_id": "gift-1"}, "transaction_id"),
        ({"reason": ""}, "reason"),
        ({"reason": "r" * 201}, "reason"),
        ({"shortfall_policy": 3}, "shortfall_policy"),
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
    ],
)
async def test_malformed_reversals_are_refused_by_field(
    client: Client, change: dict[str, Any], field: str
) -> None:
    wanted: dict[str, Any] = {"transaction_id": new_key(), "reason": "r"} | change
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await client.admin.ReverseGift(ReverseGiftRequest(**wanted))
    assert refused.value.field == field
