"""One connection through a fault proxy: two directions, each with its own fault."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from enum import Enum, Flag, auto
from typing import TypeAlias

from tests.faults.faults import BlackHole, Fault

CHUNK = 64 << 10
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Note: TypeAlias = Callable[[], None]


class Direction(Flag):
    """Which way bytes go."""

    UP = auto()
    """From the client to the target."""
    DOWN = auto()


class End(Enum):
    """The client's or the target's end of a connection."""

    CLIENT = auto()
    TARGET = auto()


UP, DOWN = Direction.UP, Direction.DOWN
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
        """Sets the fault, unless bytes are missing already."""
        if not isinstance(self.fault, BlackHole):
            self.fault, self.carried = fault, 0
            self._changed.set()

    async def pump(self) -> None:
        """Forwards bytes, and then the end of the stream."""
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
        self, client: Streams, target: Streams, faults: Mapping[Direction, Fault], note: Note
    ) -> None:
        self.note = note
        self.ways = {
            UP: Way(self, faults[UP], (client[0], target[1])),
            DOWN: Way(self, faults[DOWN], (target[0], client[1])),
        }
        self._ends = {CLIENT: client[1], TARGET: target[1]}

    async def carry(self) -> None:
        """Forwards both directions until both have ended."""
        try:
            await asyncio.gather(*(way.pump() for way in self.ways.values()))
        finally:
            self.cut(reset=False)

    def cut(self, *, reset: bool) -> None:
        """Ends it on both sides."""
        for writer in self._ends.values():
            close(writer, reset=reset)

    def half_open(self, end: End, *, reset: bool) -> None:
        """Closes one side; from now on the other side is swallowed, without a sign of the end."""
        for way in self.ways.values():
            way.fail(BlackHole())
        close(self._ends[end], reset=reset)


def close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Closes a socket, with RST or with FIN."""
    if not reset:
        writer.close()
        return
    ours: socket.socket = writer.get_extra_info("socket")
    if ours.fileno() >= 0 and ours.family != socket.AF_UNIX:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
