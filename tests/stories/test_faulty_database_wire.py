"""The way between server and Postgres is at fault; the server says so, and recovers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import GetWalletRequest

from tests.faults.fault_proxy import (
    DOWN,
    UP,
    Direction,
    FaultProxy,
    fault_proxy,
    postgres,
    through,
)
from tests.faults.faults import Cut, Delay, Outage
from tests.stories.evening import Evening, evening
from tests.stories.processes import server_process

GIFTS = 200  # answered before, while and after something is wrong
CUTS = 3
AWAY_S = 2
JUDGE_S = 60
TIMEOUT_S = 3  # of the client
MAY_BE = {"ERROR_REASON_DATABASE_UNAVAILABLE", "DEADLINE_EXCEEDED", "no answer"}


@dataclass(frozen=True, slots=True)
class Apart:
    """A server whose way to its database may fail."""

    address: str
    proxy: FaultProxy


@dataclass(frozen=True, slots=True)
class Place:
    """Gifts on such a server."""

    client: Client
    judge: Client  # with more patience
    proxy: FaultProxy
    gifts: Evening


@pytest.fixture(scope="module")
async def apart(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Apart]:
    dsn = await new_database()
    async with (
        fault_proxy(postgres(dsn)) as proxy,
        server_process(DATABASE_URL=through(proxy, dsn)) as server,
    ):
        yield Apart(server.address, proxy)


@pytest.fixture
async def place(apart: Apart) -> AsyncIterator[Place]:
    async with (
        giftpay.connect(apart.address, timeout=TIMEOUT_S) as client,
        giftpay.connect(apart.address, timeout=JUDGE_S) as judge,
    ):
        gifts = await evening(judge, deadline_s=TIMEOUT_S)
        yield Place(client, judge, apart.proxy, gifts)


@pytest.mark.parametrize(("way", "after"), [(UP, 0), (UP, 3_000), (DOWN, 0), (DOWN, 1_000)])
async def test_a_session_that_is_cut_in_mid_message_loses_nothing(
    place: Place, way: Direction, after: int
) -> None:
    async with place.gifts.under_way(place.client):
        for _ in range(CUTS):
            await place.gifts.until_answered(GIFTS)
            with place.proxy.failing(Cut(after), way):
                await place.proxy.until_another()
        await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)
    assert place.gifts.failures.keys() <= MAY_BE


async def test_a_database_that_refuses_connections_is_said_so_and_met_again(place: Place) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        async with place.proxy.refusing():
            place.proxy.cut()
            with pytest.raises(giftpay.Unavailable) as ended:
                await place.client.wallets.GetWallet(GetWalletRequest(owner_id="anna"))
            assert ended.value.reason == "ERROR_REASON_DATABASE_UNAVAILABLE"
        await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)
    assert place.gifts.failures.keys() <= MAY_BE


async def test_statements_that_arrive_late_are_carried_out_once(place: Place) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        with place.proxy.failing(Outage()):
            await asyncio.sleep(AWAY_S)
        await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)
    assert place.gifts.failures.keys() <= MAY_BE


async def test_a_distant_database_is_a_slow_database(place: Place) -> None:
    async with place.gifts.under_way(place.client):
        with place.proxy.failing(Delay(0.01)):
            await place.gifts.until_answered(GIFTS)
    assert not place.gifts.failures
    await place.gifts.prove(place.judge)
