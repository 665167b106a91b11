"""Starts the servers under test, each as a separate process, as a user would."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.trees import Tree

START_S = 60
STOP_S = 30
SERVES = re.compile(r"serves on (\S+)")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    addresses: tuple[str, ...]
    pids: tuple[int, ...]

    def with_another(self, other: Server) -> Server:
        """Both, to be driven as one."""
        addresses = self.addresses + other.addresses
        return Server(self.name, addresses, self.pids + other.pids)


@asynccontextmanager
async def echo(logs: Path) -> AsyncIterator[Server]:
    """The bare echo."""
    async with _running("echo", "benchmarks.echo", logs=logs) as server:
        yield server


@asynccontextmanager
async def naive(dsn: str, logs: Path) -> AsyncIterator[Server]:
    """One transaction a gift."""
    async with _running("naive", "benchmarks.naive", dsn, logs=logs) as server:
        yield server


@asynccontextmanager
async def giftpay(
    name: str,
    *options: str,
    logs: Path,
    dsn: str = "",
    state: Path | None = None,
    tree: Tree | None = None,
) -> AsyncIterator[Server]:
    """giftpay on a database or an embedded one, of this or another tree."""
    environment = tree.environment() if tree else {}
    environment |= {"GIFTPAY_DATABASE_URL": dsn, "GIFTPAY_STATE": f"{state or ''}"}
    environment["GIFTPAY_TRUSTED_CALLERS"] = "local"  # which may confirm payments by itself
    arguments = ("giftpay_server", "--listen", "127.0.0.1:0", *options)
    async with _running(name, *arguments, logs=logs, environment=environment) as server:
        yield server


@asynccontextmanager
async def _running(
    name: str, *arguments: str, logs: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[Server]:
    with (logs / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
    try:
        address = await asyncio.wait_for(_address(process), START_S)
        yield Server(name, (address,), (process.pid,))
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), STOP_S)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if found := SERVES.search(line.decode()):
            return found[1]
    raise RuntimeError("a server ended before it served: see the logs")
