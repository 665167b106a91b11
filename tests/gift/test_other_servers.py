"""Refusals that depend on the server: on its catalog, and on whether it is stopping."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import giftpay
import pytest
from giftpay.client import Client, connect
from giftpay.v1 import (
    UNIT_COIN,
    AdjustBalanceRequest,
    ApplyCatalogRequest,
    OpenWalletRequest,
)
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from grpc import StatusCode

from tests.catalog import examples
from tests.conftest import verify
from tests.gift.gifts import balances, gift
from tests.refusals import refused

NO = StatusCode.FAILED_PRECONDITION


@pytest.fixture
async def database(new_database: Callable[[], Awaitable[str]]) -> str:
    return await new_database()


def server(database: str) -> AbstractAsyncContextManager[Running]:
    return serving(Config(listen="127.0.0.1:0", database_url=database))


@pytest.fixture
async def own(database: str) -> AsyncIterator[Client]:
    """A client of a server of its own; anna and ben have wallets there, and nothing is sold."""
    async with server(database) as running, connect(running.address) as client:
        for owner_id in ("anna", "ben"):
            opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
            await client.wallets.OpenWallet(opening)
        request = AdjustBalanceRequest(owner_id="anna", unit=UNIT_COIN, amount=10, reason="test")
        await client.admin.AdjustBalance(request)
        yield client
        await verify(client)


async def sell(client: Client, **prices: int) -> None:
    """Puts these gifts on sale, and takes all others off it."""
    catalog = examples.example()
    del catalog.gifts[:]
    catalog.gifts.extend(examples.gift(gift_id, coins) for gift_id, coins in prices.items())
    await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))


async def test_before_a_catalog_is_applied_no_gift_is_sold(own: Client) -> None:
    request = gift("anna", "ben")
    with refused(giftpay.NoCatalog, NO):
        await own.gifts.SendGift(request)
    await sell(own, rose=1)
    with refused(giftpay.NoCatalog, NO):  # pinned
        await own.gifts.SendGift(request)
    await own.gifts.SendGift(gift("anna", "ben"))
    assert await balances(own, "anna") == (9, 0)


async def test_a_gift_off_sale_is_refused_but_its_earlier_commands_are_replayed(
    own: Client,
) -> None:
    await sell(own, rose=1, comet=2)
    before, after = gift("anna", "ben", gift_id="comet"), gift("anna", "ben", gift_id="comet")
    sent = (await own.gifts.SendGift(before)).gift
    await sell(own, rose=1)
    with refused(giftpay.GiftOffSale, NO, gift_id="comet", catalog_version=2):
        await own.gifts.SendGift(after)
    again = await own.gifts.SendGift(before)
    assert (again.gift, again.replayed) == (sent, True)
    assert await balances(own, "anna") == (8, 0)


async def test_a_gift_cannot_be_worth_more_than_a_movement(own: Client) -> None:
    await sell(own, palace=10**9)
    with refused(giftpay.AmountLimit, NO, amount=10**13, limit=10**12):
        await own.gifts.SendGift(gift("anna", "ben", gift_id="palace", count=10_000))


async def test_a_server_that_is_stopping_takes_no_gift_and_another_one_takes_it(
    own: Client, database: str
) -> None:
    await sell(own, rose=1)
    request = gift("anna", "ben")
    async with (
        server(database) as stopping,
        connect(stopping.address, timeout=0.5) as impatient,
    ):
        stopping.parts.journal.drain()
        with refused(giftpay.OutcomeUnknown, StatusCode.UNAVAILABLE) as untaken:
            await impatient.gifts.SendGift(request)
    assert untaken.value.reason == "ERROR_REASON_SHUTTING_DOWN"
    assert untaken.value.key == request.idempotency_key
    assert not (await own.gifts.SendGift(request)).replayed
