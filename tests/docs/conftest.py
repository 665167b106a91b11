"""A server like that of `make run`, for the examples in the documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from giftpay_server.app import serving
from giftpay_server.config import Config


@pytest.fixture
async def address(new_database: Callable[[], Awaitable[str]], sandbox: str) -> AsyncIterator[str]:
    """The address of a new server."""
    config = Config(
        database_url=await new_database(),
        listen="127.0.0.1:0",
        sandbox_url=sandbox,
        trusted_callers=frozenset({"local"}),
        sample_catalog=True,
    )
    async with serving(config) as server:
        yield server.address
