"""The sandbox as a separate process: it prints its address, and its records survive kill -9."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]

PATIENCE_S = 30  # for a Python to start or stop on a busy machine
PAYOUT = {"destination": "mia@example.org", "currency": "EUR", "minor_units": 1_250}


@asynccontextmanager
async def started(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "giftpay_server.sandbox", "--port", "0", *options),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert line.startswith(b"listening on http://127.0.0.1:")
        yield process, line.decode().removeprefix("listening on ").strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_killed_sandbox_remembers_what_it_paid(
    post: Wire, get: Wire, tmp_path: Path
) -> None:
    book = str(tmp_path / "book.sqlite")
    async with started("--book", book) as (process, url):
        _, paid = await post("/payouts", PAYOUT, key="key", url=url)
        process.send_signal(signal.SIGKILL)
        await asyncio.wait_for(process.wait(), PATIENCE_S)
    async with started("--book", book, "--dedupe-days", "0") as (_, url):
        assert await get("/payouts/key", url=url) == (200, paid)
        assert (await post("/payouts", PAYOUT, key="key", url=url))[0] == 201


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_with_success(number: signal.Signals) -> None:
    async with started() as (process, _):
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--port", "65536", "--port must be 0 to 65535, not '65536'"),
        ("--port", "-1", "--port must be 0 to 65535, not '-1'"),
        ("--port", "1_0", "--port must be 0 to 65535, not '1_0'"),
        ("--dedupe-days", "nan", "--dedupe-days must be 0 to 3650 days, not 'nan'"),
        ("--dedupe-days", "1e300", "--dedupe-days must be 0 to 3650 days, not '1e300'"),
        ("--book", "/nowhere/book", "the sandbox's book /nowhere/book cannot be used: unable to"),
        ("--book", __file__, f"the sandbox's book {__file__} cannot be used: file is not a data"),
        ("--host", "192.0.2.1", "[Errno "),
    ],
)
async def test_an_option_that_cannot_be_used_ends_it_with_a_sentence(
    option: str, text: str, said: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "giftpay_server.sandbox", f"{option}={text}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 2
    assert stderr.decode().startswith(f"giftpay_server.sandbox: {said}")
