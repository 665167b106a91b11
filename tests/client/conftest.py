"""The shipped client against a scripted server."""

import asyncio
from collections.abc import AsyncIterator

import giftpay
import pytest
from click.testing import CliRunner, Result
from giftpay.cli.commands import giftpay as commands

from tests.client.command_line import Run
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


@pytest.fixture
async def coalescing(scripted: ScriptedServer) -> AsyncIterator[giftpay.Client]:
    """The same with coalescing."""
    async with giftpay.connect(scripted.address, timeout=3, coalesce=True) as client:
        yield client


@pytest.fixture
def run(scripted: ScriptedServer) -> Run:
    """Runs a command line against the scripted server."""

    async def invoke(*arguments: str) -> Result:
        line = ["--target", scripted.address, "--timeout", "3", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, commands, line)

    return invoke
