"""AdjustBalance: an operator's correction, one entry against ADJUSTMENT."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay import new_key
from giftpay.client import Client
from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    GetWalletRequest,
    ListCoinPackagesRequest,
    ListEntriesRequest,
    Unit,
    UpdateWalletRequest,
)

from tests.conftest import OpenWallet

LOTS = "SELECT kind, size, price, source_id::text FROM lot WHERE owner_id = $1"


def adjustment(owner_id: str, amount: int, **fields: Any) -> AdjustBalanceRequest:
    wanted: dict[str, Any] = {
        "idempotency_key": new_key(),
        "unit": UNIT_COIN,
        "reason": "ticket 7",
    } | fields
    return AdjustBalanceRequest(owner_id=owner_id, amount=amount, **wanted)


async def balances(client: Client, owner_id: str) -> tuple[int, int]:
    wallet = (await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))).wallet
    return wallet.coins.balance, wallet.diamonds.balance


@pytest.mark.parametrize("unit", [UNIT_COIN, UNIT_DIAMOND])
async def test_an_adjustment_up_and_down_is_an_entry_each(
    client: Client, open_wallet: OpenWallet, unit: Unit.ValueType
) -> None:
    anna = await open_wallet()
    up = await client.admin.AdjustBalance(adjustment(anna, 100, unit=unit))
    down = await client.admin.AdjustBalance(adjustment(anna, -30, unit=unit))
    listed = await client.wallets.ListEntries(
        ListEntriesRequest(owner_id=anna, unit=unit, after_seq=0)
    )
    assert list(listed.entries) == [up.entry, down.entry]
    assert [(e.seq, e.amount, e.balance) for e in listed.entries] == [(1, 100, 100), (2, -30, 70)]
    for entry in listed.entries:
        assert entry.system_account == SYSTEM_ACCOUNT_ADJUSTMENT
        assert entry.kind == TRANSACTION_KIND_ADJUSTMENT


async def test_coins_gained_are_a_lot_of_their_own(
    client: Client, open_wallet: OpenWallet, pool: asyncpg.Pool
) -> None:
    anna = await open_wallet()
    request = adjustment(anna, 100)
    await client.admin.AdjustBalance(request)
    await client.admin.AdjustBalance(adjustment(anna, -100))
    await client.admin.AdjustBalance(adjustment(anna, 5, unit=UNIT_DIAMOND))
    (lot,) = await pool.fetch(LOTS, anna)
    assert tuple(lot) == (4, 100, None, request.idempotency_key)


async def test_the_same_adjustment_again_is_the_same_answer(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    request = adjustment(anna, 100)
    answers = await asyncio.gather(*(client.admin.AdjustBalance(request) for _ in range(32)))
    assert len({answer.entry.SerializeToString() for answer in answers}) == 1
    assert sum(answer.replayed for answer in answers) == 31
    assert await balances(client, anna) == (100, 0)


@pytest.mark.parametrize(
    "change", [{"unit": UNIT_DIAMOND}, {"amount": 99}, {"reason": "ticket 8"}, {"owner_id": "ben"}]
)
async def test_the_same_key_for_another_adjustment_is_refused_by_name(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any]
) -> None:
    request = adjustment(await open_wallet(), 100)
    await client.admin.AdjustBalance(request)
    request.MergeFrom(AdjustBalanceRequest(**change))
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.admin.AdjustBalance(request)
    assert refused.value.fields == tuple(change)


@pytest.mark.parametrize(
    ("unit", "refusal"),
    [(UNIT_COIN, giftpay.InsufficientCoins), (UNIT_DIAMOND, giftpay.InsufficientDiamonds)],
)
async def test_nothing_is_taken_that_is_not_there(
    client: Client,
    open_wallet: OpenWallet,
    unit: Unit.ValueType,
    refusal: type[giftpay.Refused],
) -> None:
    anna = await open_wallet(coins=40, diamonds=40)
    request = adjustment(anna, -41, unit=unit)
    with pytest.raises(refusal) as refused:
        await client.admin.AdjustBalance(request)
    assert refused.value.metadata == {"owner_id": anna, "available": "40", "required": "41"}
    await client.admin.AdjustBalance(adjustment(anna, 1, unit=unit))
    with pytest.raises(refusal):  # pinned to its key
        await client.admin.AdjustBalance(request)
    assert sum(await balances(client, anna)) == 81


async def test_a_wallet_is_needed(client: Client) -> None:
    with pytest.raises(giftpay.WalletNotFound):
        await client.admin.AdjustBalance(adjustment("nobody", 1))


async def test_a_frozen_wallet_is_corrected_both_ways(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet(coins=10)
    await client.wallets.UpdateWallet(
        UpdateWalletRequest(owner_id=anna, status=WALLET_STATUS_FROZEN)
    )
    await client.admin.AdjustBalance(adjustment(anna, 5))
    await client.admin.AdjustBalance(adjustment(anna, -15))
    assert await balances(client, anna) == (0, 0)


async def test_a_closed_wallet_gains_nothing_but_can_be_emptied(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    coins = await _paid_after_closing(client, anna)
    assert await balances(client, anna) == (coins, 0)
    with pytest.raises(giftpay.WalletClosed):
        await client.admin.AdjustBalance(adjustment(anna, 1))
    await client.admin.AdjustBalance(adjustment(anna, -coins))
    assert await balances(client, anna) == (0, 0)


async def _paid_after_closing(client: Client, owner_id: str) -> int:
    """The coins of an order that was given up, its wallet closed, and then paid."""
    listed = await client.catalog.ListCoinPackages(ListCoinPackagesRequest(country_code="DE"))
    created = await client.top_ups.CreateTopUp(
        CreateTopUpRequest(
            owner_id=owner_id,
            package_id=listed.packages[0].package_id,
            provider=PAYMENT_PROVIDER_TRUSTED,
        )
    )
    top_up_id = created.top_up.top_up_id
    await client.top_ups.CancelTopUp(CancelTopUpRequest(top_up_id=top_up_id))
    await client.wallets.UpdateWallet(
        UpdateWalletRequest(owner_id=owner_id, status=WALLET_STATUS_CLOSED)
    )
    paid = await client.top_ups.ConfirmTopUp(
        ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=f"late-{top_up_id}")
    )
    return paid.top_up.coins + paid.top_up.bonus_coins


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "~ISSUANCE~0"}, "owner_id"),
        ({"unit": 0}, "unit"),
        ({"unit": 3}, "unit"),
        ({"amount": 0}, "amount"),
        ({"amount": 10**12 + 1}, "amount"),
        ({"amount": -(10**12) - 1}, "amount"),
        ({"amount": -(2**63)}, "amount"),
        ({"reason": ""}, "reason"),
        ({"reason": "r" * 201}, "reason"),
        ({"reason": "nul\0"}, "reason"),
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
    ],
)
async def test_malformed_adjustments_are_refused_by_field(
    client: Client, change: dict[str, Any], field: str
) -> None:
    wanted: dict[str, Any] = {"owner_id": "anna", "amount": 1, "unit": UNIT_COIN, "reason": "r"}
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await client.admin.AdjustBalance(AdjustBalanceRequest(**(wanted | change)))
    assert refused.value.field == field
