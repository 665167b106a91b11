"""ErasePersonalData: what identifies a person goes, what moved stays."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay import new_key
from giftpay.client import Client
from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_CLOSED,
    AgeStatus,
    ErasePersonalDataRequest,
    GetGiftRequest,
    GetWalletRequest,
    ListEntriesRequest,
    ListGiftsReceivedRequest,
    ListGiftsSentRequest,
    OpenWalletRequest,
    SendGiftRequest,
    UpdateWalletRequest,
)
from giftpay_server.app import Running

from tests.conftest import MovableClock, OpenWallet

MESSAGE = "for Ben, from Anna"
KNOWN = "SELECT count(*) FROM shown_personal_data WHERE owner_id = $1"


def gift(sender_id: str, recipient_id: str, message: str = MESSAGE) -> SendGiftRequest:
    return SendGiftRequest(
        idempotency_key=new_key(),
        sender_id=sender_id,
        recipient_id=recipient_id,
        gift_id="rose",
        message=message,
    )


async def erase(client: Client, owner_id: str) -> None:
    request = ErasePersonalDataRequest(owner_id=owner_id)
    assert not (await client.admin.ErasePersonalData(request)).replayed


async def shown_messages(client: Client, anna: str, ben: str, gift_id: str) -> set[str]:
    """The message of Anna's only gift to Ben, wherever it is shown."""
    read = await client.gifts.GetGift(GetGiftRequest(transaction_id=gift_id))
    by_sender = await client.gifts.ListGiftsSent(ListGiftsSentRequest(owner_id=anna))
    by_recipient = await client.gifts.ListGiftsReceived(ListGiftsReceivedRequest(owner_id=ben))
    paid = await client.wallets.ListEntries(
        ListEntriesRequest(owner_id=anna, unit=UNIT_COIN, page_size=1)
    )
    earned = await client.wallets.ListEntries(ListEntriesRequest(owner_id=ben, unit=UNIT_DIAMOND))
    gifts = [read.gift, *by_sender.gifts, *by_recipient.gifts]
    entries = [*paid.entries, *earned.entries]
    return {each.message for each in gifts} | {entry.gift.message for entry in entries}


async def test_the_message_of_a_gift_is_hidden_everywhere(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    sent = (await client.gifts.SendGift(gift(anna, ben))).gift
    assert await shown_messages(client, anna, ben, sent.transaction_id) == {MESSAGE}
    await erase(client, anna)
    assert await shown_messages(client, anna, ben, sent.transaction_id) == {""}
    read = await client.gifts.GetGift(GetGiftRequest(transaction_id=sent.transaction_id))
    sent.message = ""
    assert read.gift == sent


async def test_messages_of_others_are_kept(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    sent = (await client.gifts.SendGift(gift(anna, ben))).gift
    await erase(client, ben)
    assert await shown_messages(client, anna, ben, sent.transaction_id) == {MESSAGE}


async def test_a_key_keeps_its_answer_when_its_message_is_erased(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=2), await open_wallet()
    request = gift(anna, ben)
    first = (await client.gifts.SendGift(request)).gift
    await erase(client, anna)
    again = await client.gifts.SendGift(request)
    assert again.replayed
    first.ClearField("message")
    assert again.gift == first
    request.message = "a message with nothing to compare it with"
    assert (await client.gifts.SendGift(request)).replayed
    request.count = 2
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.gifts.SendGift(request)
    assert refused.value.fields == ("count",)


async def test_an_erasure_leaves_nothing_to_be_shown(
    client: Client, open_wallet: OpenWallet, pool: asyncpg.Pool
) -> None:
    anna, ben = await open_wallet(coins=9), await open_wallet()
    for _ in range(3):
        await client.gifts.SendGift(gift(anna, ben))
    await client.gifts.SendGift(gift(anna, ben, message=""))
    assert await pool.fetchval(KNOWN, anna) == 3
    await erase(client, anna)
    assert await pool.fetchval(KNOWN, anna) == 0
    await erase(client, anna)


async def test_the_same_erasure_again_erases_nothing_that_came_since(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=2), await open_wallet()
    await client.gifts.SendGift(gift(anna, ben))
    request = ErasePersonalDataRequest(idempotency_key=new_key(), owner_id=anna)
    await client.admin.ErasePersonalData(request)
    since = (await client.gifts.SendGift(gift(anna, ben))).gift
    again = await client.admin.ErasePersonalData(request)
    assert again.replayed
    read = await client.gifts.GetGift(GetGiftRequest(transaction_id=since.transaction_id))
    assert read.gift.message == MESSAGE


async def test_an_owner_may_be_erased_many_times_at_once(
    client: Client, open_wallet: OpenWallet, pool: asyncpg.Pool
) -> None:
    anna, ben = await open_wallet(coins=5), await open_wallet()
    for _ in range(5):
        await client.gifts.SendGift(gift(anna, ben))
    await asyncio.gather(*(erase(client, anna) for _ in range(16)))
    assert await pool.fetchval(KNOWN, anna) == 0
    count = "SELECT erasures FROM owner WHERE owner_id = $1"
    assert await pool.fetchval(count, anna) == 16


async def test_gifts_under_way_survive_an_erasure(
    client: Client, open_wallet: OpenWallet, pool: asyncpg.Pool
) -> None:
    anna, ben = await open_wallet(coins=32), await open_wallet()
    await asyncio.gather(
        *(client.gifts.SendGift(gift(anna, ben)) for _ in range(32)), erase(client, anna)
    )
    await erase(client, anna)
    assert await pool.fetchval(KNOWN, anna) == 0
    assert (await client.wallets.GetWallet(GetWalletRequest(owner_id=ben))).wallet.diamonds.balance


@pytest.mark.parametrize(
    ("years", "before", "after"),
    [
        (30, AGE_STATUS_ADULT, AGE_STATUS_ADULT),
        (15, AGE_STATUS_UNDER_AGE, AGE_STATUS_UNVERIFIED),
        (None, AGE_STATUS_UNVERIFIED, AGE_STATUS_UNVERIFIED),
    ],
)
async def test_of_the_age_only_that_it_suffices_remains(
    client: Client,
    pool: asyncpg.Pool,
    clock: MovableClock,
    years: int | None,
    before: AgeStatus.ValueType,
    after: AgeStatus.ValueType,
) -> None:
    anna = f"aged-{new_key()}"
    opened = OpenWalletRequest(owner_id=anna, country_code="DE")
    if years is not None:
        opened.date_of_birth = (clock() - timedelta(days=366 * years)).date().isoformat()
    assert (await client.wallets.OpenWallet(opened)).wallet.age_status == before
    await erase(client, anna)
    assert await pool.fetchval(KNOWN, anna) == 0
    wallet = (await client.wallets.GetWallet(GetWalletRequest(owner_id=anna))).wallet
    assert wallet.age_status == after
    dates = await pool.fetchval("SELECT adult_from FROM owner WHERE owner_id = $1", anna)
    assert dates is None or dates.year == 1900
    assert (await client.wallets.OpenWallet(opened)).replayed


async def test_the_server_may_read_text_and_salts_only_through_the_view(server: Running) -> None:
    for column in ("value", "salt"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await server.parts.pool.fetch(f"SELECT {column} FROM personal_data")
        await server.parts.pool.fetch(f"SELECT {column} FROM shown_personal_data LIMIT 1")


async def test_a_closed_wallet_is_erased_too(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    await client.gifts.SendGift(gift(anna, ben))
    await client.wallets.UpdateWallet(
        UpdateWalletRequest(owner_id=anna, status=WALLET_STATUS_CLOSED)
    )
    await erase(client, anna)


async def test_a_wallet_is_needed(client: Client) -> None:
    with pytest.raises(giftpay.WalletNotFound):
        await erase(client, "nobody")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "anna", "idempotency_key": "k" * 129}, "idempotency_key"),
    ],
)
async def test_malformed_erasures_are_refused_by_field(
    client: Client, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await client.admin.ErasePersonalData(ErasePersonalDataRequest(**fields))
    assert refused.value.field == field


async def test_the_key_of_one_erasure_serves_no_other(
    client: Client, open_wallet: OpenWallet
) -> None:
    key = new_key()
    for owner_id in [await open_wallet()] * 2:
        request = ErasePersonalDataRequest(idempotency_key=key, owner_id=owner_id)
        await client.admin.ErasePersonalData(request)
    request.owner_id = await open_wallet()
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.admin.ErasePersonalData(request)
    assert refused.value.fields == ("owner_id",)
