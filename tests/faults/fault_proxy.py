"""A TCP proxy whose connections fail as a test sets.

async with fault_proxy(tcp(server.address)) as proxy, connect(proxy.address) as client:
    with proxy.failing(BlackHole()):            # connections that exist, and new ones
    with proxy.failing(Delay(0.2), DOWN, on=NEW):
    proxy.half_open(CLIENT)                     # closed on the client's side alone
    async with proxy.refusing():
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Flag, auto
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from tests.faults.connections import (
    CLIENT,
    DOWN,
    TARGET,
    UP,
    Connection,
    Direction,
    End,
    Streams,
    Way,
    close,
)
from tests.faults.faults import Fault, Sound

__all__ = ["CLIENT", "DOWN", "EXISTING", "NEW", "TARGET", "UP", "Direction", "Streams"]

PATIENCE_S = 30
POSTGRES_PORT = 5432

Target: TypeAlias = Callable[[], Awaitable[Streams]]


class Connections(Flag):
    """Which connections a fault is for."""

    EXISTING = auto()
    NEW = auto()


EXISTING, NEW = Connections.EXISTING, Connections.NEW


class FaultProxy:
    """Listens on a port, and forwards to its target what the faults let through."""

    def __init__(self, target: Target) -> None:
        self.address = "127.0.0.1:0"
        self.taken = 0  # connections so far
        self.connections: dict[asyncio.Task[None] | None, Connection] = {}
        self._target = target
        self._new: dict[Direction, Fault] = {UP: Sound(), DOWN: Sound()}
        self._listening: asyncio.Server | None = None
        self._news = asyncio.Event()

    @contextmanager
    def failing(
        self,
        fault: Fault,
        ways: Direction = UP | DOWN,
        on: Connections = EXISTING | NEW,
    ) -> Iterator[None]:
        """Applies a fault while this lasts; connections that lost bytes stay broken."""
        failed = [c.ways[way] for c in self.connections.values() if EXISTING in on for way in ways]
        before = dict(self._new)
        for each in failed:
            each.fail(fault)
        if NEW in on:
            self._new.update((way, fault) for way in ways)
        try:
            yield
        finally:
            self._new = before
            for each in self._ways_with(fault):
                each.fail(Sound())

    def half_open(self, end: End, *, reset: bool = False) -> None:
        """Closes existing connections at one end only: the other end is half-open."""
        for connection in self.connections.values():
            connection.half_open(end, reset=reset)

    def cut(self, *, reset: bool = True) -> None:
        """Closes the connections that exist, at both ends."""
        for connection in self.connections.values():
            connection.cut(reset=reset)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Stops listening meanwhile; existing connections continue."""
        self.close()
        try:
            yield
        finally:
            await self.listen()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition, checked when a connection is accepted, forwards or ends."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_another(self) -> None:
        """Waits until one more connection has come."""
        taken = self.taken
        await self.until(lambda: self.taken > taken)

    def swallowed(self, way: Direction) -> int:
        """How many bytes were swallowed on the connections that exist."""
        return sum(connection.ways[way].swallowed for connection in self.connections.values())

    async def listen(self) -> None:
        """Takes connections."""
        host, _, port = self.address.rpartition(":")
        self._listening = await asyncio.start_server(self._take, host, int(port))
        self.address = f"{host}:{self._listening.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Takes no more connections."""
        assert self._listening is not None
        self._listening.close()

    async def end(self) -> None:
        """Closes everything."""
        self.close()
        tasks = [task for task in self.connections if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        try:
            target = await self._target()
        except OSError:
            close(writer, reset=True)
            return
        connection = Connection((reader, writer), target, self._new, self._news.set)
        self.connections[task] = connection
        self.taken += 1
        self._news.set()
        with suppress(asyncio.CancelledError):  # the proxy ends
            await connection.carry()
        del self.connections[task]
        self._news.set()

    def _ways_with(self, fault: Fault) -> list[Way]:
        ways = [way for each in self.connections.values() for way in each.ways.values()]
        return [way for way in ways if way.fault is fault]


@asynccontextmanager
async def fault_proxy(target: Target) -> AsyncIterator[FaultProxy]:
    """A proxy to a target, as `tcp` and `unix` name one."""
    proxy = FaultProxy(target)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.end()


def tcp(address: str) -> Target:
    """A target at host:port."""
    host, _, port = address.rpartition(":")
    return lambda: asyncio.open_connection(host, int(port))


def unix(path: str) -> Target:
    """A target that has a socket file."""
    return lambda: asyncio.open_unix_connection(path)


def postgres(dsn: str) -> Target:
    """The Postgres of a DSN, which names a folder of sockets or a host."""
    url = urlsplit(dsn)
    where = parse_qs(url.query)
    if url.hostname is not None:
        return tcp(f"{url.hostname}:{url.port or POSTGRES_PORT}")
    return unix(f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}")


def through(proxy: FaultProxy, dsn: str) -> str:
    """The same database, reached through the proxy."""
    url = urlsplit(dsn)
    credentials = url.netloc.rpartition("@")[0]
    netloc = f"{credentials}@{proxy.address}" if credentials else proxy.address
    return url._replace(netloc=netloc, query="").geturl()
