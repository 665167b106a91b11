"""Runs the sandbox's HTTP server."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from yarl import URL

from giftpay_server.sandbox.rules import DEDUPE_WINDOW
from giftpay_server.sandbox.service import Sandbox
from giftpay_server.sandbox.store import Book

GRACE_S = 0.5  # for answers in flight when the sandbox stops; later ones are lost


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


@asynccontextmanager
async def running_sandbox(
    *,
    host: str = "127.0.0.1",
    ports: Sequence[int] = (0,),
    book: Path | None = None,
    dedupe_window: timedelta = DEDUPE_WINDOW,
    clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[str]:
    """Serves a sandbox and yields its base URL; without a book its records are in memory.

    It listens on the first free one of the ports; port 0 is any free one.
    """
    with closing(Book(book)) as records:
        sandbox = Sandbox(records, dedupe_window=dedupe_window, clock=clock)
        runner = web.AppRunner(sandbox.application(), access_log=None, shutdown_timeout=GRACE_S)
        await runner.setup()
        try:
            await _listen(runner, host, ports)
            bound_host, bound_port = runner.addresses[0][:2]
            yield str(URL.build(scheme="http", host=bound_host, port=bound_port))
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, ports: Sequence[int]) -> None:
    *wanted, last = ports
    for port in wanted:
        with suppress(OSError):
            await web.TCPSite(runner, host, port).start()
            return
    await web.TCPSite(runner, host, last).start()
