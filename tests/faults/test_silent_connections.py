"""The connections to the database are half-open: they swallow everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import GetWalletRequest

from tests.faults.attempts import assert_unavailable, attempt
from tests.faults.crowds import COINS, crowd, rose
from tests.faults.fault_proxy import FaultProxy, fault_proxy, postgres, through
from tests.faults.faults import BlackHole
from tests.stories.processes import own_database, server_process
from tests.stories.wallets import apply_catalog, open_wallet, prove_books

VIEWERS = 20
BOUND_S = 15  # in which a server gives a silent connection up
TIMEOUT_S = 30  # of the client
SILENT_S = 3  # in which new connections are swallowed too


@dataclass(frozen=True, slots=True)
class Place:
    """A server whose connections to the database may become half-open."""

    address: str
    client: Client
    proxy: FaultProxy


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Place]:
    async with (
        own_database() as database,
        fault_proxy(postgres(database.dsn)) as proxy,
        server_process(DATABASE_URL=through(proxy, database.dsn)) as server,
        giftpay.connect(server.address, timeout=TIMEOUT_S) as client,
    ):
        await apply_catalog(client)
        yield Place(server.address, client, proxy)


async def test_a_command_on_a_silent_connection_ends_in_bounded_time(place: Place) -> None:
    gift = rose(await open_wallet(place.client, coins=COINS), await open_wallet(place.client))
    with place.proxy.failing(BlackHole()):
        assert_unavailable(await attempt(place.address, gift, timeout_s=BOUND_S))
    await place.client.gifts.SendGift(gift)
    assert (await place.client.gifts.SendGift(gift)).replayed
    await prove_books(place.client)


async def test_a_read_on_a_silent_connection_ends_in_bounded_time(place: Place) -> None:
    read = GetWalletRequest(owner_id=await open_wallet(place.client))
    await place.client.wallets.GetWallet(read)  # so that there is a connection to fall silent
    with place.proxy.failing(BlackHole()):
        assert_unavailable(await attempt(place.address, read, timeout_s=BOUND_S))
    await place.client.wallets.GetWallet(read)


async def test_gifts_go_on_over_new_connections(place: Place) -> None:
    viewers = await crowd(place.client, viewers=VIEWERS)
    async with viewers.sending(place.client):
        await viewers.until_answered(10 * VIEWERS)
        with place.proxy.failing(BlackHole()):
            await asyncio.sleep(SILENT_S)
        await viewers.until_answered(10 * VIEWERS, within_s=BOUND_S)
    await viewers.prove_answers(place.client)
    await prove_books(place.client)
    assert viewers.failures.keys() <= {"ERROR_REASON_DATABASE_UNAVAILABLE", "no answer"}
