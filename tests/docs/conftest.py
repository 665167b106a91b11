"""A server as `make run` starts one, for what the documents show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from giftpay_server.app import serving
from giftpay_server.config import Config


@pytest.fixture
async def address(new_database: Callable[[], Awaitable[str]], sandbox: str) -> AsyncIterator[str]:
    """Where a server listens that nobody has called yet."""
    config = Config(
        database_url=await new_database(),
        listen="127.0.0.1:0",
        sandbox_url=sandbox,
        trusted_callers=frozenset({"local"}),
        sample_catalog=True,
    )
    async with serving(config) as server:
        yield server.address
