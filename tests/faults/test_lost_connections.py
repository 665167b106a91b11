"""Connections between client and server swallow bytes: gifts go on over new ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.faults.fault_proxy import (
    DOWN,
    EXISTING,
    TARGET,
    UP,
    Direction,
)
from tests.faults.faults import BlackHole
from tests.faults.faulty_way import FaultyWay, faulty_way
from tests.stories.processes import server_process

GIFTS = 200  # answered before and after
TIMEOUT_S = 10  # of a call, by default
FOUND_WITHIN_S = 20  # and so many gifts answered again


@pytest.fixture(scope="module")
async def address(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    async with server_process(DATABASE_URL=await new_database()) as server:
        yield server.address


@pytest.fixture
async def place(address: str) -> AsyncIterator[FaultyWay]:
    async with faulty_way(address, timeout_s=TIMEOUT_S) as place:
        yield place


@pytest.mark.parametrize("ways", [UP | DOWN, UP, DOWN])
async def test_gifts_go_on_beside_a_connection_that_swallows_bytes(
    place: FaultyWay, ways: Direction
) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        with place.proxy.failing(BlackHole(), ways, on=EXISTING):
            await place.proxy.until_another()
        await place.gifts.until_answered(GIFTS, within_s=FOUND_WITHIN_S)
    await place.gifts.prove(place.judge)


async def test_gifts_go_on_after_a_server_has_gone_without_a_sign(place: FaultyWay) -> None:
    async with place.gifts.under_way(place.client):
        await place.gifts.until_answered(GIFTS)
        place.proxy.half_open(TARGET, reset=True)
        await place.gifts.until_answered(GIFTS, within_s=FOUND_WITHIN_S)
    await place.gifts.prove(place.judge)
