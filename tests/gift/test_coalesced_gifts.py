"""Callers get the same results from a client with and without coalescing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    OpenWalletRequest,
    Unit,
    UpdateWalletRequest,
)
from giftpay_server.app import serving
from giftpay_server.config import Config

from tests.gift.gifts import balances, gift
from tests.gift.histories import FULL, POOR, STARS, VIEWERS, History, World
from tests.stories.wallets import apply_catalog, prove_books

SEEDS, ROUNDS = 5, 6
PRICES = {"rose": 1, "live": 5, "gold": 10**9}
COINS, MOST = 10**11, 10**12
REASONS = {
    "AmountLimit", "BalanceLimit", "GiftOffSale", "GiftToSelf", "InsufficientCoins",
    "InvalidArgument", "KeyReused", "PriceChanged", "UnknownGift", "WalletClosed", "WalletFrozen",
    "WalletNotFound",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clients of one server."""

    single: Client
    coalescing: Client


@pytest.fixture(scope="module")
async def empty(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Pair]:
    """Of a server on an empty database."""
    config = Config(database_url=await new_database(), listen="127.0.0.1:0")
    async with (
        serving(config) as server,
        giftpay.connect(server.address, timeout=30) as single,
        giftpay.connect(server.address, timeout=30, coalesce=True) as coalescing,
    ):
        yield Pair(single, coalescing)


@pytest.fixture(scope="module")
async def pair(empty: Pair) -> Pair:
    """The same, with a catalog, in which one gift is no longer on sale."""
    await apply_catalog(empty.single, {**PRICES, "gone": 3})
    await apply_catalog(empty.single, PRICES)
    opened = OpenWalletRequest(owner_id=FULL, country_code="DE")
    await empty.single.wallets.OpenWallet(opened)
    filling = [adjust(empty.single, FULL, UNIT_DIAMOND, MOST) for _ in range(1_000)]
    await asyncio.gather(*filling)
    return empty


async def open_wallets(client: Client, world: World) -> None:
    """Viewers who can pay, and one who cannot; stars, and owners who cannot receive."""
    viewers = [f"viewer-{number}" for number in range(VIEWERS)]
    stars = [f"star-{number}" for number in range(STARS)]
    for name in (*viewers, *stars, "frozen", "closed"):
        opened = OpenWalletRequest(owner_id=world.owner(name), country_code="DE")
        await client.wallets.OpenWallet(opened)
    for name in viewers:
        await adjust(client, world.owner(name), UNIT_COIN, 1 if name == POOR else COINS)
    for name, status in (("frozen", WALLET_STATUS_FROZEN), ("closed", WALLET_STATUS_CLOSED)):
        changed = UpdateWalletRequest(owner_id=world.owner(name), status=status)
        await client.wallets.UpdateWallet(changed)


async def adjust(client: Client, owner_id: str, unit: Unit.ValueType, amount: int) -> None:
    request = AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason="test")
    await client.admin.AdjustBalance(request)


async def test_without_a_catalog_every_gift_is_refused(empty: Pair) -> None:
    for owner_id in ("anna", "ben"):
        opened = OpenWalletRequest(owner_id=owner_id, country_code="DE")
        await empty.single.wallets.OpenWallet(opened)
    for client in (empty.single, empty.coalescing):
        calls = [client.gifts.SendGift(gift("anna", "ben")) for _ in range(3)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ended} == {giftpay.NoCatalog}


async def test_the_same_calls_have_the_same_results(pair: Pair) -> None:
    seen: set[str] = set()
    for seed in range(SEEDS):
        history = History(seed, ROUNDS)
        worlds = [World(f"s{seed}", pair.single), World(f"c{seed}", pair.coalescing)]
        for world in worlds:
            await open_wallets(pair.single, world)
        for asks in history.rounds:
            singly, coalesced = [await world.play(asks) for world in worlds]
            assert coalesced == singly
            seen |= {end.split()[0] for ends in singly.values() for end in ends}
        for owner in (f"viewer-{number}" for number in range(VIEWERS)):
            one, other = [await balances(pair.single, world.owner(owner)) for world in worlds]
            assert one == other
    assert seen >= REASONS
    await prove_books(pair.single)
