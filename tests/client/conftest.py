"""The shipped client against a server that plays a script."""

from collections.abc import AsyncIterator

import giftpay
import pytest

from tests.client.scripted import ScriptedServer, serving


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A server without a script yet."""
    script = ScriptedServer()
    async with serving(script):
        yield script


@pytest.fixture
async def caller(scripted: ScriptedServer) -> AsyncIterator[giftpay.Client]:
    """A client of the scripted server, with three seconds for a call."""
    async with giftpay.connect(scripted.address, timeout=3) as client:
        yield client
