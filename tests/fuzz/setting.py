"""The state of a server before it is fuzzed: a catalog, owners with history, and pages."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from giftpay.client import Client
from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    CreateRedemptionRequest,
    CreateTopUpRequest,
    GetCatalogRequest,
    ListCoinPackagesRequest,
    ListEntriesRequest,
    ListGiftsReceivedRequest,
    ListGiftsRequest,
    ListGiftsSentRequest,
    ListRedemptionsRequest,
    ListTopUpsRequest,
    OpenWalletRequest,
    SendGiftRequest,
)
from google.protobuf.message import Message

from tests.fuzz.inputs import source
from tests.fuzz.messages import World, new_key
from tests.stories.wallets import PACKAGES, PRICES, apply_catalog

OWNERS = 30
RICH, POOR = 100_000_000, 20
EACH = 3  # gifts, orders and redemptions of an owner


async def prepare(client: Client, seed: int) -> World:
    """Creates the things that the inputs of a seed name; the names are always the same."""
    await apply_catalog(client)
    random = source(seed, -1)
    owners = [f"fuzz-{number}" for number in range(OWNERS)]
    for number, owner_id in enumerate(owners):
        await _open(client, owner_id, POOR if number % 5 == 0 else RICH)
    transactions = [key for each in owners for key in await _act(client, random, each, owners)]
    catalog = (await client.catalog.GetCatalog(GetCatalogRequest())).catalog
    return World(
        owners=[*owners, "nobody"],
        transactions=transactions,
        gifts=[*PRICES, "nothing"],
        packages=[f"eur-{coins}" for coins in PACKAGES],
        catalog=catalog,
        pages=await _pages(client, owners[:4]),
    )


async def _open(client: Client, owner_id: str, coins: int) -> None:
    opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
    await client.wallets.OpenWallet(opening)
    for unit in (UNIT_COIN, UNIT_DIAMOND):
        grant = AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=coins, reason="fuzz")
        await client.admin.AdjustBalance(grant)


async def _act(client: Client, random: Random, owner_id: str, owners: Sequence[str]) -> list[str]:
    """Gifts, orders and redemptions of an owner; their keys, which are their ids."""
    keys: list[str] = []
    for number in range(EACH):
        other = owners[(owners.index(owner_id) + number + 1) % len(owners)]
        for rpc, request in _acts(client, owner_id, other):
            request.idempotency_key = new_key(random)
            await rpc(request)
            keys.append(request.idempotency_key)
    return keys


def _acts(client: Client, owner_id: str, other: str) -> list[tuple[Any, Any]]:
    gift = SendGiftRequest(sender_id=owner_id, recipient_id=other, gift_id="rose")
    order = CreateTopUpRequest(
        owner_id=owner_id, package_id=f"eur-{PACKAGES[0]}", provider=PAYMENT_PROVIDER_SANDBOX
    )
    redemption = CreateRedemptionRequest(
        owner_id=owner_id, diamonds=1, currency_code="EUR", destination="iban"
    )
    return [
        (client.gifts.SendGift, gift),
        (client.top_ups.CreateTopUp, order),
        (client.redemptions.CreateRedemption, redemption),
    ]


async def _pages(client: Client, owners: Sequence[str]) -> dict[str, list[tuple[bytes, str]]]:
    """First pages of every list that has a second one, with its token."""
    lists: list[tuple[Any, Message]] = [
        (client.catalog.ListGifts, ListGiftsRequest(page_size=1)),
        (client.catalog.ListCoinPackages, ListCoinPackagesRequest(country_code="DE", page_size=1)),
        *(each for owner_id in owners for each in _lists_of(client, owner_id)),
    ]
    pages: dict[str, list[tuple[bytes, str]]] = {}
    for rpc, request in lists:
        token = (await rpc(request)).next_page_token
        assert token, request
        page = request.SerializeToString(), token
        pages.setdefault(request.DESCRIPTOR.full_name, []).append(page)
    return pages


def _lists_of(client: Client, owner_id: str) -> list[tuple[Any, Message]]:
    of_owner: dict[str, Any] = {"owner_id": owner_id, "page_size": 1}
    return [
        (client.wallets.ListEntries, ListEntriesRequest(unit=UNIT_COIN, **of_owner)),
        (client.wallets.ListEntries, ListEntriesRequest(unit=UNIT_COIN, after_seq=0, **of_owner)),
        (client.gifts.ListGiftsSent, ListGiftsSentRequest(**of_owner)),
        (client.gifts.ListGiftsReceived, ListGiftsReceivedRequest(**of_owner)),
        (client.top_ups.ListTopUps, ListTopUpsRequest(**of_owner)),
        (client.redemptions.ListRedemptions, ListRedemptionsRequest(**of_owner)),
    ]
