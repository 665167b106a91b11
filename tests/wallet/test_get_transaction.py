"""GetTransaction: transactions by id or by key, refusals included."""

from __future__ import annotations

import uuid
from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    ERROR_REASON_INSUFFICIENT_COINS,
    TRANSACTION_KIND_GIFT,
    TRANSACTION_KIND_OPEN_WALLET,
    UNIT_COIN,
    UNIT_DIAMOND,
    EntryRef,
    GetTransactionRequest,
    OpenWalletRequest,
    SendGiftRequest,
    Transaction,
)
from giftpay_server.postgres.pool import Pool

from tests.conftest import OpenWallet
from tests.wallet.conftest import give


async def transaction(client: Client, **name: str) -> Transaction:
    return (await client.wallets.GetTransaction(GetTransactionRequest(**name))).transaction


async def test_a_gift_names_its_entries(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=5), await open_wallet(diamonds=1)
    (gift_id,) = await give(client, anna, ben, messages=[""])
    found = await transaction(client, transaction_id=gift_id)
    assert (found.transaction_id, found.caller) == (gift_id, "local")
    assert found.kind == TRANSACTION_KIND_GIFT
    assert found.catalog_version > 0
    assert list(found.posted.entries) == [
        EntryRef(owner_id=anna, unit=UNIT_COIN, seq=2),
        EntryRef(owner_id=ben, unit=UNIT_DIAMOND, seq=2),
    ]


async def test_a_command_that_moved_nothing_is_posted_without_entries(client: Client) -> None:
    key = giftpay.new_key()
    opening = OpenWalletRequest(
        idempotency_key=key, owner_id=f"new-{uuid.uuid4().hex[:10]}", country_code="DE"
    )
    opened = (await client.wallets.OpenWallet(opening)).wallet
    found = await transaction(client, idempotency_key=key)
    assert (found.kind, found.create_time) == (TRANSACTION_KIND_OPEN_WALLET, opened.create_time)
    assert found.HasField("posted")
    assert not found.posted.entries


@pytest.mark.parametrize("key", ["7", "tap № 7", "0" * 128, "A" * 36])
async def test_a_transaction_is_found_by_a_key_of_any_text(
    client: Client, open_wallet: OpenWallet, key: str
) -> None:
    owner_id = await open_wallet()
    key = f"{owner_id}{key}"[:128]
    request = SendGiftRequest(
        idempotency_key=key, sender_id=owner_id, recipient_id="nobody", gift_id="rose"
    )
    with pytest.raises(giftpay.WalletNotFound):
        await client.gifts.SendGift(request)
    found = await transaction(client, idempotency_key=key)
    assert found.refusal.metadata["owner_id"] == "nobody"
    assert await transaction(client, transaction_id=found.transaction_id) == found


async def test_a_refusal_is_returned_as_at_first(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=4), await open_wallet()
    request = SendGiftRequest(
        idempotency_key=giftpay.new_key(), sender_id=anna, recipient_id=ben, gift_id="live"
    )
    with pytest.raises(giftpay.InsufficientCoins) as refused:
        await client.gifts.SendGift(request)
    refusal = (await transaction(client, transaction_id=request.idempotency_key)).refusal
    assert refusal.reason == ERROR_REASON_INSUFFICIENT_COINS
    assert refusal.message == refused.value.message
    assert dict(refusal.metadata) == refused.value.metadata


@pytest.mark.parametrize("name", ["transaction_id", "idempotency_key"])
async def test_an_unknown_transaction_is_not_found(client: Client, name: str) -> None:
    key = giftpay.new_key()
    with pytest.raises(giftpay.TransactionNotFound) as refused:
        await transaction(client, **{name: key})
    assert refused.value.transaction_id == key


async def test_another_callers_transaction_is_found_by_id_alone(client: Client, pool: Pool) -> None:
    (key,) = await pool.fetchrow(
        """INSERT INTO transactions (id, caller, kind, reason, catalog_version, entries, request,
                                     answer, create_time)
           VALUES ($1, 'another', 1, 0, 0, '', '', '', now()) RETURNING id::text""",
        giftpay.new_key(),
    ) or ("",)
    assert (await transaction(client, transaction_id=key)).caller == "another"
    with pytest.raises(giftpay.TransactionNotFound):
        await transaction(client, idempotency_key=key)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ({}, "name"),
        ({"transaction_id": ""}, "transaction_id"),
        ({"transaction_id": "not a UUID"}, "transaction_id"),
        ({"transaction_id": str(uuid.uuid4()).upper()}, "transaction_id"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "x" * 129}, "idempotency_key"),
    ],
)
async def test_a_malformed_name_is_named(client: Client, name: dict[str, Any], field: str) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await transaction(client, **name)
    assert refused.value.field == field
