"""The demo plays to its end, and its books balance."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import giftpay
import pytest
from giftpay_server import demo
from giftpay_server.app import serving
from giftpay_server.config import Config
from giftpay_server.sandbox.app import running_sandbox

from tests.conftest import MovableClock


@asynccontextmanager
async def fast(clock: MovableClock) -> AsyncIterator[None]:
    """An hour passes in six seconds: lost payouts are looked up after half a minute of them."""

    async def run() -> None:
        while True:
            await asyncio.sleep(0.1)
            clock.advance(minutes=1)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_demo_plays_to_its_end_and_its_books_balance(
    new_database: Callable[[], Awaitable[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    clock, database = MovableClock(), await new_database()
    async with running_sandbox(clock=clock) as sandbox:
        config = Config(
            database_url=database,
            listen="127.0.0.1:0",
            sandbox_url=sandbox,
            sample_catalog=True,
            payout_poll_s=0.05,
        )
        async with (
            serving(config, clock=clock) as server,
            giftpay.connect(server.address) as client,
            fast(clock),
            asyncio.timeout(120),
        ):
            assert await demo.play(client, sandbox)
    said = capsys.readouterr().out
    assert re.findall(r"^ +total +(\S+)$", said, re.MULTILINE) == ["0", "0"]
    assert len(re.findall(r"EUR after the fee: (paid|returned) to ", said)) == 5
    assert "every check passed" in said
