"""Server processes and a Postgres that a story may kill, stop and freeze."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

import psutil
from giftpay_server.postgres.embedded import embedded_postgres

PATIENCE_S = 60  # for a process to start or stop on a busy machine


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds, in bounded time."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.05)


class ServerProcess:
    """A server started as its users start it; its address stays the same over restarts."""

    def __init__(self, log: Path, environment: Mapping[str, str], *options: str) -> None:
        self.address = "127.0.0.1:0"
        self._log = log
        self._environment = environment
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it takes calls."""
        ours = {name: text for name, text in os.environ.items() if not name.startswith("GIFTPAY_")}
        with self._log.open("ab") as log:
            self._process = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "giftpay_server", "--listen", self.address),
                *self._options,
                env={**ours, **self._environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
        assert said.startswith("giftpay serves on "), self.log()
        self.address = said.split()[3]

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if the process is alive."""
        assert self._process is not None
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                # Not by the process's own method: that one may take the exit code from asyncio.
                os.kill(self._process.pid, number)

    async def ended(self) -> int:
        """Waits for the end, in bounded time; the exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; the exit code."""
        self.send(number)
        return await self.ended()

    def log(self) -> str:
        """What it has logged so far, over all its lives."""
        return self._log.read_text(errors="backslashreplace")  # callers may have put any bytes


@asynccontextmanager
async def server_process(
    environment: Mapping[str, str] | None = None, /, *options: str, **settings: str
) -> AsyncIterator[ServerProcess]:
    """A server process with these settings, GIFTPAY_ left out, and no others of giftpay's.

    Without DATABASE_URL it has a Postgres of its own, which outlives kill -9 of the server and
    ends with this.
    """
    with (
        TemporaryDirectory(prefix="giftpay-") as state,
        NamedTemporaryFile(prefix="giftpay-", suffix=".log") as log,
    ):
        named = {"STATE": state, "TRUSTED_CALLERS": "local", **settings}
        variables = {f"GIFTPAY_{name}": text for name, text in named.items()}
        server = ServerProcess(Path(log.name), {**(environment or {}), **variables}, *options)
        try:
            await server.start()
            yield server
        finally:
            server.send(signal.SIGTERM)
            await server.ended()
            _kill(_postgres_processes(Path(state)))


class Database:
    """A Postgres of a story's own."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._running = AsyncExitStack()
        self.dsn = ""

    async def start(self) -> None:
        """Starts it, over whatever its end has left behind."""
        self.dsn = await self._running.enter_async_context(embedded_postgres(self._state))

    async def stop(self) -> None:
        """Ends all sessions and then the server, if it runs."""
        await self._running.aclose()

    async def kill(self, *, all_processes: bool) -> None:
        """kill -9 of the postmaster alone, or of all its processes."""
        processes = _postgres_processes(self._state)
        _kill(processes if all_processes else processes[:1])
        await self.stop()  # forgets it, once the postmaster is gone

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No process of it goes on meanwhile; the kernel still takes connections for it."""
        processes = _postgres_processes(self._state)
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()


@asynccontextmanager
async def own_database() -> AsyncIterator[Database]:
    """A Postgres that no other story sees."""
    with TemporaryDirectory(prefix="giftpay-") as state:
        database = Database(Path(state))
        await database.start()
        try:
            yield database
        finally:
            await database.stop()


def _postgres_processes(state: Path) -> list[psutil.Process]:
    """The postmaster of a state folder, and then its children; none if it does not run."""
    try:
        text = (state / "data" / "postmaster.pid").read_text()
        postmaster = psutil.Process(int(text.split("\n")[0]))
        if not os.path.samefile(postmaster.cwd(), state / "data"):
            return []  # the number is another process's now
        return [postmaster, *postmaster.children(recursive=True)]
    except (FileNotFoundError, psutil.NoSuchProcess):
        return []


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
