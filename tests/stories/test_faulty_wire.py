"""The way between client and server is at fault; the shipped client keeps what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.faults.fault_proxy import (
    CLIENT,
    DOWN,
    UP,
    Direction,
)
from tests.faults.faults import Cut, Delay, Fault, Outage, Trickle
from tests.faults.faulty_way import FaultyWay, faulty_way
from tests.stories.processes import server_process

GIFTS = 200  # answered before, while and after something is wrong
CUTS = 3
OUTAGE_S = 3  # longer than the client waits
TIMEOUT_S = 2  # of the client


@pytest.fixture(scope="module")
async def address(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    async with server_process(DATABASE_URL=await new_database()) as server:
        yield server.address


@pytest.fixture
async def place(address: str) -> AsyncIterator[FaultyWay]:
    async with faulty_way(address, timeout_s=TIMEOUT_S) as place:
        yield place


@pytest.mark.parametrize(
    ("way", "after", "reset"),
    [(UP, 0, False), (UP, 5_000, True), (DOWN, 0, True), (DOWN, 5_000, False)],
)
async def test_a_connection_that_is_cut_in_mid_message_loses_nothing(
    place: FaultyWay, way: Direction, after: int, reset: bool
) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        for _ in range(CUTS):
            with place.proxy.failing(Cut(after, reset), way):
                await place.proxy.until_another()
            await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)


@pytest.mark.parametrize(
    ("fault", "way"),
    [(Delay(0.1), UP | DOWN), (Trickle(size=1_000, pause_s=0.005), DOWN)],
)
async def test_a_slow_connection_is_a_slow_connection(
    place: FaultyWay, fault: Fault, way: Direction
) -> None:
    async with place.gifts.under_way(place.client):
        with place.proxy.failing(fault, way):
            await place.gifts.until_answered(GIFTS)
    assert not place.gifts.failures
    assert place.proxy.taken == 1
    await place.gifts.prove(place.judge)


async def test_what_arrives_after_its_client_has_given_up_is_done_once(place: FaultyWay) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        with place.proxy.failing(Outage()):
            await asyncio.sleep(OUTAGE_S)
        await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)


async def test_a_server_that_refuses_connections_for_a_while_is_met_again(place: FaultyWay) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        async with place.proxy.refusing():
            place.proxy.cut()
            await asyncio.sleep(OUTAGE_S)
        await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)


async def test_a_connection_of_which_only_the_client_knows_that_it_ended_loses_nothing(
    place: FaultyWay,
) -> None:
    async with place.gifts.under_way(place.client):
        for _ in range(CUTS):
            await place.gifts.until_answered(GIFTS)
            place.proxy.half_open(CLIENT, reset=True)
        await place.gifts.until_answered(GIFTS)
    await place.gifts.prove(place.judge)
