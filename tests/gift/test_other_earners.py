"""Lists of gifts do not show other movements against the system accounts of gifts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import giftpay
import pytest
from giftpay.client import Client, connect
from giftpay.v1 import (
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    ApplyCatalogRequest,
    GetGiftRequest,
    ListGiftsReceivedRequest,
    ListGiftsSentRequest,
    OpenWalletRequest,
)
from giftpay_server.app import serving
from giftpay_server.config import Config
from giftpay_server.ledger.model import Command, Leg, Outcome, Posted

from tests.catalog import examples
from tests.gift.gifts import gift
from tests.journal.journals import running_journal
from tests.ledger.movements import EVERY_MOVEMENT

GIFTS = 5
OTHERS_BETWEEN = 7  # more than a page


async def prepare(client: Client) -> None:
    for owner_id in ("anna", "ben"):
        opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
        await client.wallets.OpenWallet(opening)
    coins = AdjustBalanceRequest(owner_id="anna", unit=UNIT_COIN, amount=10_000, reason="test")
    await client.admin.AdjustBalance(coins)
    await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=examples.example()))


def clip(key: str) -> Command:
    """A command of another kind: anna pays for a clip, and ben earns from it."""
    legs = (
        Leg("anna", UNIT_COIN, -1, SYSTEM_ACCOUNT_GIFT_SALES),
        Leg("ben", UNIT_DIAMOND, 1, SYSTEM_ACCOUNT_CREATOR_EARNINGS),
    )
    return Command(
        id=key,
        caller="test",
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=AdjustBalanceRequest(owner_id="anna", reason="reads as a gift of 'anna'"),
        accounts=(("anna", UNIT_COIN), ("ben", UNIT_DIAMOND)),
        decide=lambda _: Posted(legs=legs),
    )


async def pages(call: Callable[[Any], Awaitable[Any]], request: Any) -> list[str]:
    """The transactions of all pages of a list of gifts."""
    listed: list[str] = []
    while True:
        page = await call(request)
        listed += [each.transaction_id for each in page.gifts]
        request.page_token = page.next_page_token
        if not request.page_token:
            return listed


async def test_gifts_are_recognised_by_their_kind(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    database = await new_database()
    config = Config(listen="127.0.0.1:0", database_url=database)
    sent: list[str] = []
    async with (
        serving(config) as running,
        connect(running.address) as client,
        running_journal(database, movements=EVERY_MOVEMENT) as other,
    ):
        await prepare(client)
        for _ in range(GIFTS):
            answer = await client.gifts.SendGift(gift("anna", "ben"))
            sent.insert(0, answer.gift.transaction_id)
            for _ in range(OTHERS_BETWEEN):
                clipped = giftpay.new_key()
                assert isinstance(await other.record(clip(clipped)), Outcome)
        gifts = client.gifts
        by_sender = ListGiftsSentRequest(owner_id="anna", page_size=2)
        by_recipient = ListGiftsReceivedRequest(owner_id="ben", page_size=2)
        assert await pages(gifts.ListGiftsSent, by_sender) == sent
        assert await pages(gifts.ListGiftsReceived, by_recipient) == sent
        with pytest.raises(giftpay.GiftNotFound):
            await gifts.GetGift(GetGiftRequest(transaction_id=clipped))
