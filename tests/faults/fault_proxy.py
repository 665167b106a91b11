"""A proxy for TCP whose connections fail as a test says.

async with fault_proxy(tcp(server.address)) as proxy, connect(proxy.address) as client:
    with proxy.failing(BlackHole()):            # connections that exist, and new ones
    with proxy.failing(Delay(0.2), DOWN, on=NEW):
    proxy.half_open(CLIENT)                     # closed on the client's side alone
    async with proxy.refusing():
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum, Flag, auto
from typing import TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.faults.faults import BlackHole, Fault, Sound

CHUNK = 64 << 10
PATIENCE_S = 30
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Target: TypeAlias = Callable[[], Awaitable[Streams]]


class Direction(Flag):
    """Which way bytes go."""

    UP = auto()
    """From the client to the target."""
    DOWN = auto()


class Connections(Flag):
    """Which connections a fault is for."""

    EXISTING = auto()
    NEW = auto()


class End(Enum):
    """Who holds an end of a connection."""

    CLIENT = auto()
    TARGET = auto()


UP, DOWN = Direction.UP, Direction.DOWN
EXISTING, NEW = Connections.EXISTING, Connections.NEW
CLIENT, TARGET = End.CLIENT, End.TARGET


class Way:
    """One direction of a connection; see `faults.Way`."""

    def __init__(self, connection: Connection, fault: Fault, streams: Streams) -> None:
        self.carried = 0
        self.swallowed = 0
        self.fault = fault
        self._changed = asyncio.Event()
        self._connection = connection
        self._source, self._sink = streams

    def fail(self, fault: Fault) -> None:
        """Carries on with this fault, unless bytes are missing already."""
        if not isinstance(self.fault, BlackHole):
            self.fault, self.carried = fault, 0
            self._changed.set()

    async def pump(self) -> None:
        """Carries what comes, and then the end as it came."""
        reset = False
        try:
            while data := await self._source.read(CHUNK):
                await self.fault.carry(data, self)
                self._connection.note()
        except ConnectionError:
            reset = True
        if not isinstance(self.fault, BlackHole):
            close(self._sink, reset=reset)

    async def write(self, data: bytes) -> None:
        self._sink.write(data)
        self.carried += len(data)
        await self._sink.drain()

    async def until_changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def cut(self, *, reset: bool) -> None:
        self._connection.cut(reset=reset)


class Connection:
    """One connection through the proxy, with a socket at each end."""

    def __init__(
        self, client: Streams, target: Streams, faults: dict[Direction, Fault], note: Note
    ) -> None:
        self.note = note
        self.ways = {
            UP: Way(self, faults[UP], (client[0], target[1])),
            DOWN: Way(self, faults[DOWN], (target[0], client[1])),
        }
        self._ends = {CLIENT: client[1], TARGET: target[1]}

    async def carry(self) -> None:
        """Carries both ways until both have ended."""
        try:
            await asyncio.gather(*(way.pump() for way in self.ways.values()))
        finally:
            self.cut(reset=False)

    def cut(self, *, reset: bool) -> None:
        """Ends it on both sides."""
        for writer in self._ends.values():
            close(writer, reset=reset)

    def half_open(self, end: End, *, reset: bool) -> None:
        """Ends it on one side; the other side is swallowed from now on and hears of nothing."""
        for way in self.ways.values():
            way.fail(BlackHole())
        close(self._ends[end], reset=reset)


Note: TypeAlias = Callable[[], None]


class FaultProxy:
    """Listens on a port of its own, and passes on to its target what the faults let through."""

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
        """Carries bytes so while this lasts; connections that lost bytes stay as they are."""
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
        """Closes the connections that exist at one end, without a sign to the other."""
        for connection in self.connections.values():
            connection.half_open(end, reset=reset)

    def cut(self, *, reset: bool = True) -> None:
        """Closes the connections that exist, at both ends."""
        for connection in self.connections.values():
            connection.cut(reset=reset)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Nobody listens on the port meanwhile; connections that exist go on."""
        self.close()
        try:
            yield
        finally:
            await self.listen()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until it holds; it is asked whenever a connection came, carried or ended."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

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
    """The Postgres of a DSN that names a folder of sockets."""
    where = parse_qs(urlsplit(dsn).query)
    return unix(f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}")


def through(proxy: FaultProxy, dsn: str) -> str:
    """The same database, reached through the proxy."""
    host, _, port = proxy.address.rpartition(":")
    return urlsplit(dsn)._replace(query=urlencode({"host": host, "port": port})).geturl()


def close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Closes a socket, with RST or with FIN."""
    if not reset:
        writer.close()
        return
    ours: socket.socket = writer.get_extra_info("socket")
    if ours.fileno() >= 0 and ours.family != socket.AF_UNIX:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
