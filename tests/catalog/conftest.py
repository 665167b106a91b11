"""Servers of their own for tests that apply catalogs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from giftpay.client import Client, connect
from giftpay_server.app import serving
from giftpay_server.config import Config

from tests.conftest import verify


@asynccontextmanager
async def _shop(dsn: str) -> AsyncIterator[Client]:
    config = Config(listen="127.0.0.1:0", database_url=dsn)
    async with serving(config) as running, connect(running.address) as client:
        yield client


@pytest.fixture(scope="session")
async def shop_dsn(new_database: Callable[[], Awaitable[str]]) -> str:
    """A database whose catalog any test here may replace."""
    return await new_database()


@pytest.fixture(scope="session")
async def shop(shop_dsn: str) -> AsyncIterator[Client]:
    """The shipped client, on a server whose catalog any test here may replace."""
    async with _shop(shop_dsn) as client:
        yield client


@pytest.fixture(scope="session")
async def rival(shop_dsn: str) -> AsyncIterator[Client]:
    """The shipped client, on a second server of the same database."""
    async with _shop(shop_dsn) as client:
        yield client


@pytest.fixture
async def new_shop(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Client]:
    """The shipped client, on a server to which no catalog was applied."""
    async with _shop(await new_database()) as client:
        yield client
        await verify(client)


@pytest.fixture(autouse=True)
async def shops_books_are_clean(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After every test in the shop: its books agree, row by row."""
    yield
    if "shop" in request.fixturenames:
        await verify(request.getfixturevalue("shop"))
