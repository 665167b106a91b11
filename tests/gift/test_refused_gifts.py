"""SendGift over the wire: every refusal, with its status and its figures."""

from __future__ import annotations

from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    GetCatalogRequest,
    GetTransactionRequest,
    SendGiftRequest,
    Unit,
    UpdateWalletRequest,
)
from grpc import StatusCode

from tests.conftest import OpenWallet
from tests.gift.gifts import balances, gift
from tests.refusals import refused

NO = StatusCode.FAILED_PRECONDITION


@pytest.fixture(scope="session")
async def version(client: Client) -> int:
    """Of the catalog that holds."""
    return (await client.catalog.GetCatalog(GetCatalogRequest())).catalog.version


async def adjust(client: Client, owner_id: str, unit: Unit.ValueType, amount: int) -> None:
    request = AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason="test")
    await client.admin.AdjustBalance(request)


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
    fields: dict[str, Any] = {"idempotency_key": giftpay.new_key(), "message": "hello"}
    await client.gifts.SendGift(gift(anna, ben, **fields))
    with refused(giftpay.KeyReused, StatusCode.ALREADY_EXISTS, fields=(field,)) as reused:
        await client.gifts.SendGift(gift(anna, ben, **{**fields, **change}))
    assert "hello" not in str(reused.value)
    assert await balances(client, anna) == (9, 0)


async def test_the_same_key_for_other_owners_is_refused_by_name(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben, cleo = await open_wallet(coins=10), await open_wallet(), await open_wallet(coins=5)
    key = giftpay.new_key()
    await client.gifts.SendGift(gift(anna, ben, idempotency_key=key))
    fields = ("sender_id", "recipient_id")
    with refused(giftpay.KeyReused, StatusCode.ALREADY_EXISTS, fields=fields):
        await client.gifts.SendGift(gift(cleo, anna, idempotency_key=key))


async def test_a_refusal_is_pinned_to_its_key(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    request = gift(anna, ben, gift_id="live")
    figures = {"owner_id": anna, "available": 1, "required": 5}
    with refused(giftpay.InsufficientCoins, NO, **figures):
        await client.gifts.SendGift(request)
    await adjust(client, anna, UNIT_COIN, 100)
    with refused(giftpay.InsufficientCoins, NO, **figures):
        await client.gifts.SendGift(request)
    named = GetTransactionRequest(transaction_id=request.idempotency_key)
    decided = (await client.wallets.GetTransaction(named)).transaction
    assert decided.refusal.metadata == {name: str(figure) for name, figure in figures.items()}
    assert await balances(client, anna) == (101, 0)


async def test_a_gift_to_oneself_is_refused(client: Client, open_wallet: OpenWallet) -> None:
    anna = await open_wallet(coins=10)
    with refused(giftpay.GiftToSelf, NO, owner_id=anna):
        await client.gifts.SendGift(gift(anna, anna))


async def test_an_unknown_gift_is_refused(
    client: Client, open_wallet: OpenWallet, version: int
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    figures = {"gift_id": "rosee", "catalog_version": version}
    with refused(giftpay.UnknownGift, StatusCode.NOT_FOUND, **figures):
        await client.gifts.SendGift(gift(anna, ben, gift_id="rosee"))


@pytest.mark.parametrize("missing", ["sender", "recipient"])
async def test_an_owner_without_a_wallet_is_refused(
    client: Client, open_wallet: OpenWallet, missing: str
) -> None:
    anna = await open_wallet(coins=10)
    pair = ("nobody", anna) if missing == "sender" else (anna, "nobody")
    with refused(giftpay.WalletNotFound, StatusCode.NOT_FOUND, owner_id="nobody"):
        await client.gifts.SendGift(gift(*pair))


@pytest.mark.parametrize("frozen", ["sender", "recipient"])
async def test_a_frozen_side_is_refused_until_it_is_unfrozen(
    client: Client, open_wallet: OpenWallet, frozen: str
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    wallet = UpdateWalletRequest(owner_id=anna if frozen == "sender" else ben)
    wallet.status = WALLET_STATUS_FROZEN
    await client.wallets.UpdateWallet(wallet)
    with refused(giftpay.WalletFrozen, NO, owner_id=wallet.owner_id):
        await client.gifts.SendGift(gift(anna, ben))
    thaw = UpdateWalletRequest(owner_id=wallet.owner_id, status=WALLET_STATUS_ACTIVE)
    await client.wallets.UpdateWallet(thaw)
    await client.gifts.SendGift(gift(anna, ben))
    assert await balances(client, anna) == (9, 0)


async def test_a_closed_side_is_refused(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    close = UpdateWalletRequest(owner_id=ben, status=WALLET_STATUS_CLOSED)
    await client.wallets.UpdateWallet(close)
    with refused(giftpay.WalletClosed, NO, owner_id=ben):
        await client.gifts.SendGift(gift(anna, ben))


async def test_a_price_can_be_expected(
    client: Client, open_wallet: OpenWallet, version: int
) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()
    await client.gifts.SendGift(gift(anna, ben, gift_id="live", count=2, expected_coins=10))
    figures = {"expected": 9, "actual": 10, "catalog_version": version}
    with refused(giftpay.PriceChanged, NO, **figures):
        await client.gifts.SendGift(gift(anna, ben, gift_id="live", count=2, expected_coins=9))


async def test_a_recipient_cannot_hold_more_than_the_limit(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    for _ in range(1_000):
        await adjust(client, ben, UNIT_DIAMOND, 10**12)
    with refused(giftpay.BalanceLimit, NO, owner_id=ben, unit="DIAMOND", limit=10**15):
        await client.gifts.SendGift(gift(anna, ben))


ID = "1..64 characters of A-Za-z0-9._:-"
CONTEXT = "1..64 characters of A-Za-z0-9._:/-"
LINE = "printable characters in one line, with no space at either end"
MESSAGE = f"1..200 {LINE}"
KEY = f"1..128 {LINE}"

MALFORMED = [
    ("sender_id", "", ID),
    ("sender_id", "a b", ID),
    ("sender_id", "~GIFT_SALES~0", ID),
    ("sender_id", "x" * 65, ID),
    ("recipient_id", "ünï", ID),
    ("gift_id", "", ID),
    ("count", -1, "0..10000"),
    ("count", 10_001, "0..10000"),
    ("message", "x" * 201, MESSAGE),
    ("message", "nul \0 byte", MESSAGE),
    ("context", "live 123", CONTEXT),
    ("context", "x" * 65, CONTEXT),
    ("combo_id", "a/b", ID),
    ("expected_coins", -5, "1..1000000000000"),
    ("expected_coins", 0, "1..1000000000000"),
    ("expected_coins", 10**12 + 1, "1..1000000000000"),
    ("idempotency_key", "k" * 129, KEY),
]


@pytest.mark.parametrize(("field", "value", "limit"), MALFORMED)
async def test_a_malformed_field_is_named_and_nothing_is_decided(
    client: Client, open_wallet: OpenWallet, field: str, value: Any, limit: str
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    key = giftpay.new_key()
    fields = {"idempotency_key": key, "sender_id": anna, "recipient_id": ben, "gift_id": "rose"}
    request = SendGiftRequest(**{**fields, field: value})
    malformed = StatusCode.INVALID_ARGUMENT
    with refused(giftpay.InvalidArgument, malformed, field=field, limit=limit):
        await client.gifts.SendGift(request)
    with refused(giftpay.TransactionNotFound, StatusCode.NOT_FOUND, transaction_id=key):
        await client.wallets.GetTransaction(GetTransactionRequest(transaction_id=key))


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
        with pytest.raises(type(previewed.value)) as sent:
            await client.gifts.SendGift(request)
        assert sent.value.code is previewed.value.code
        assert sent.value.metadata == previewed.value.metadata
