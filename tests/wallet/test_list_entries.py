"""ListEntries: the statement, page by page."""

from __future__ import annotations

from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    TRANSACTION_KIND_ADJUSTMENT,
    TRANSACTION_KIND_GIFT,
    TRANSACTION_KIND_GIFT_REVERSAL,
    UNIT_COIN,
    UNIT_DIAMOND,
    Entry,
    ErasePersonalDataRequest,
    GiftDetails,
    ListEntriesRequest,
    ListEntriesResponse,
    ReverseGiftRequest,
    SendGiftRequest,
)

from tests.conftest import OpenWallet
from tests.wallet.conftest import adjust, give

ENTRIES = 7


async def page(client: Client, owner_id: str, **fields: Any) -> ListEntriesResponse:
    wanted = {"unit": UNIT_COIN, **fields}
    return await client.wallets.ListEntries(ListEntriesRequest(owner_id=owner_id, **wanted))


async def pages(client: Client, owner_id: str, **fields: Any) -> list[list[Entry]]:
    """All pages, in their order."""
    found, token = [], ""
    while True:
        answer = await page(client, owner_id, page_token=token, **fields)
        found.append(list(answer.entries))
        if not (token := answer.next_page_token):
            return found


@pytest.fixture(scope="module")
async def anna(client: Client, open_wallet: OpenWallet) -> str:
    """An owner with 7 entries of coins: 1, 2, 3, ..."""
    owner_id = await open_wallet()
    for amount in range(1, ENTRIES + 1):
        await adjust(client, owner_id, UNIT_COIN, amount)
    return owner_id


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 1_000])
async def test_pages_together_are_the_history_newest_first(
    client: Client, anna: str, size: int
) -> None:
    found = await pages(client, anna, page_size=size)
    assert [entry.seq for part in found for entry in part] == [7, 6, 5, 4, 3, 2, 1]
    assert all(len(part) == size for part in found[:-1])
    assert 0 < len(found[-1]) <= size


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 1_000])
@pytest.mark.parametrize("after_seq", [0, 1, 6])
async def test_pages_after_a_seq_are_the_rest_oldest_first(
    client: Client, anna: str, size: int, after_seq: int
) -> None:
    found = await pages(client, anna, page_size=size, after_seq=after_seq)
    seqs = [entry.seq for part in found for entry in part]
    assert seqs == list(range(after_seq + 1, ENTRIES + 1))


async def test_after_the_last_there_is_nothing_yet(client: Client, anna: str) -> None:
    for after_seq in (ENTRIES, ENTRIES + 1, 2**63 - 1):
        assert await pages(client, anna, after_seq=after_seq) == [[]]


async def test_entries_booked_during_paging_are_on_no_later_page(
    client: Client, open_wallet: OpenWallet
) -> None:
    owner_id = await open_wallet(coins=1)
    await adjust(client, owner_id, UNIT_COIN, 2)
    first = await page(client, owner_id, page_size=1)
    await adjust(client, owner_id, UNIT_COIN, 3)
    second = await page(client, owner_id, page_size=1, page_token=first.next_page_token)
    assert [entry.amount for entry in (*first.entries, *second.entries)] == [2, 1]


async def test_a_page_has_50_entries_by_default(client: Client, open_wallet: OpenWallet) -> None:
    sender, recipient = await open_wallet(coins=60), await open_wallet()
    await give(client, sender, recipient, messages=[""] * 59)
    assert [len(part) for part in await pages(client, sender)] == [50, 10]


async def test_each_line_carries_its_balance_and_its_other_side(client: Client, anna: str) -> None:
    (entries,) = await pages(client, anna, after_seq=0)
    balance = 0
    for entry in entries:
        balance += entry.amount
        assert (entry.owner_id, entry.unit, entry.balance) == (anna, UNIT_COIN, balance)
        assert entry.system_account == SYSTEM_ACCOUNT_ADJUSTMENT
        assert entry.kind == TRANSACTION_KIND_ADJUSTMENT
        assert (entry.counterpart_id, entry.HasField("gift")) == ("", False)


async def test_the_units_are_two_statements(client: Client, open_wallet: OpenWallet) -> None:
    owner_id = await open_wallet(coins=3, diamonds=4)
    for unit, amount in ((UNIT_COIN, 3), (UNIT_DIAMOND, 4)):
        (entry,) = (await page(client, owner_id, unit=unit)).entries
        assert (entry.unit, entry.seq, entry.amount) == (unit, 1, amount)


@pytest.fixture
async def gift(client: Client, open_wallet: OpenWallet) -> SendGiftRequest:
    """A gift of 10 coins that was sent."""
    request = SendGiftRequest(
        idempotency_key=giftpay.new_key(),
        sender_id=await open_wallet(coins=10),
        recipient_id=await open_wallet(),
        gift_id="live",
        count=2,
        message="Hello, Ben",
        context="live/123",
        combo_id="c1",
    )
    await client.gifts.SendGift(request)
    return request


async def test_a_gift_is_on_both_statements(client: Client, gift: SendGiftRequest) -> None:
    details = GiftDetails(
        gift_id="live", count=2, message="Hello, Ben", context="live/123", combo_id="c1"
    )
    for owner_id, other, unit, amount, system in (
        (gift.sender_id, gift.recipient_id, UNIT_COIN, -10, SYSTEM_ACCOUNT_GIFT_SALES),
        (gift.recipient_id, gift.sender_id, UNIT_DIAMOND, 10, SYSTEM_ACCOUNT_CREATOR_EARNINGS),
    ):
        entry = (await page(client, owner_id, unit=unit)).entries[0]
        assert (entry.amount, entry.counterpart_id, entry.gift) == (amount, other, details)
        assert (entry.kind, entry.system_account) == (TRANSACTION_KIND_GIFT, system)
        assert entry.transaction_id == gift.idempotency_key


async def test_a_reversal_has_the_details_of_its_gift(
    client: Client, gift: SendGiftRequest
) -> None:
    reverse = ReverseGiftRequest(transaction_id=gift.idempotency_key, reason="test")
    reversed_ = await client.admin.ReverseGift(reverse)
    for owner_id, other, unit in (
        (gift.sender_id, gift.recipient_id, UNIT_COIN),
        (gift.recipient_id, gift.sender_id, UNIT_DIAMOND),
    ):
        reversal, given = (await page(client, owner_id, unit=unit)).entries[:2]
        assert reversal.kind == TRANSACTION_KIND_GIFT_REVERSAL
        assert reversal.transaction_id == reversed_.reversal_id
        assert reversal.amount == -given.amount
        assert (reversal.counterpart_id, reversal.gift) == (other, given.gift)


async def test_a_reversal_names_the_recipient_who_has_nothing_to_return(
    client: Client, gift: SendGiftRequest
) -> None:
    await adjust(client, gift.recipient_id, UNIT_DIAMOND, -10)
    reverse = ReverseGiftRequest(transaction_id=gift.idempotency_key, reason="test")
    assert (await client.admin.ReverseGift(reverse)).diamonds == 0
    returned = (await page(client, gift.sender_id)).entries[0]
    assert (returned.amount, returned.counterpart_id) == (10, gift.recipient_id)


async def test_an_erased_message_is_gone_from_the_statement(
    client: Client, gift: SendGiftRequest
) -> None:
    await client.admin.ErasePersonalData(ErasePersonalDataRequest(owner_id=gift.sender_id))
    entry = (await page(client, gift.recipient_id, unit=UNIT_DIAMOND)).entries[0]
    assert (entry.gift.gift_id, entry.gift.message) == ("live", "")


async def test_an_owner_without_a_wallet_is_not_found(client: Client) -> None:
    with pytest.raises(giftpay.WalletNotFound):
        await page(client, "nobody")


async def test_an_empty_wallet_has_an_empty_statement(
    client: Client, open_wallet: OpenWallet
) -> None:
    assert await page(client, await open_wallet()) == ListEntriesResponse()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"unit": 0}, "unit"),
        ({"unit": 3}, "unit"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "no token"}, "page_token"),
        ({"after_seq": -1}, "after_seq"),
    ],
)
async def test_a_malformed_field_is_named(
    client: Client, anna: str, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await page(client, **{"owner_id": anna, **fields})
    assert refused.value.field == field


@pytest.mark.parametrize(
    "change", [{"unit": UNIT_DIAMOND}, {"after_seq": 0}, {"after_seq": 1}, {"owner_id": "other"}]
)
async def test_a_token_is_for_the_list_that_it_came_with(
    client: Client, anna: str, change: dict[str, Any]
) -> None:
    token = (await page(client, anna, page_size=1)).next_page_token
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await page(client, **{"owner_id": anna, "page_token": token, **change})
    assert refused.value.field == "page_token"


async def test_the_size_may_change_from_page_to_page(client: Client, anna: str) -> None:
    first = await page(client, anna, page_size=2)
    rest = await page(client, anna, page_size=9, page_token=first.next_page_token)
    assert [entry.seq for entry in (*first.entries, *rest.entries)] == [7, 6, 5, 4, 3, 2, 1]
