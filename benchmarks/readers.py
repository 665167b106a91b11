"""Readers beside the load: followers of accounts, and callers that list entries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter, time

from giftpay.v1 import ListEntriesRequest, WatchEntriesRequest, WatchEntriesResponse

from benchmarks.http2 import END_STREAM, Connection

WATCH = "/giftpay.v1.WalletService/WatchEntries"
LIST = "/giftpay.v1.WalletService/ListEntries"
GRPC_PREFIX = 5
STREAMS_A_CONNECTION = 100
OPENED_AT_ONCE = 20
OPEN_PAUSE_S = 0.02


@dataclass(slots=True)
class Received:
    """The counts since the last reset."""

    entries: int = 0
    messages: int = 0
    complete: int = 0  # followers at the end, and pages that were read
    ended: int = 0
    lags: list[float] = field(default_factory=list)  # seconds from deciding to arriving
    begun: float = field(default_factory=perf_counter)
    seconds: float = 0.0  # that it was counted for


@dataclass(frozen=True, slots=True)
class Follow:
    """One stream to follow; started again once it has reached `until`, if set."""

    request: WatchEntriesRequest
    until: int = 0


class _Followed(Connection):
    """A connection whose streams are read as messages."""

    def __init__(self, readers: Readers) -> None:
        super().__init__(WATCH, lambda *_: readers.has_ended())
        self._readers = readers
        self._buffers: dict[int, bytearray] = {}
        self._follows: dict[int, Follow] = {}

    def follow(self, follow: Follow) -> None:
        stream = self.open()
        self._follows[stream], self._buffers[stream] = follow, bytearray()
        self.send(stream, follow.request.SerializeToString(), END_STREAM)

    def _take_data(self, stream: int, body: bytes) -> None:
        super()._take_data(stream, body)
        buffer = self._buffers.get(stream)
        if buffer is None:
            return  # given up
        buffer += body
        while len(buffer) >= GRPC_PREFIX:
            end = GRPC_PREFIX + int.from_bytes(buffer[1:GRPC_PREFIX], "big")
            if len(buffer) < end:
                return
            message = WatchEntriesResponse.FromString(bytes(buffer[GRPC_PREFIX:end]))
            del buffer[:end]
            self._readers.take(message)
            follow = self._follows[stream]
            if follow.until and message.last_seq >= follow.until:
                self._readers.received.complete += 1
                self.cancel(stream)
                del self._buffers[stream], self._follows[stream]
                self.follow(follow)
                return


class Readers:
    """All streams and callers of one kind of load."""

    def __init__(self, *, timed: bool = False) -> None:
        self.received = Received()
        self._timed = timed
        self._connections: list[Connection] = []

    async def follow(self, address: str, follows: Sequence[Follow]) -> None:
        """Opens the streams, a few at a time."""
        for at in range(0, len(follows), STREAMS_A_CONNECTION):
            connection = await self._connect(address, lambda: _Followed(self))
            assert isinstance(connection, _Followed)
            some = follows[at : at + STREAMS_A_CONNECTION]
            for number, each in enumerate(some):
                connection.follow(each)
                if number % OPENED_AT_ONCE == 0:
                    await asyncio.sleep(OPEN_PAUSE_S)

    async def list(self, address: str, request: ListEntriesRequest, callers: int) -> None:
        """Starts callers that read the same page in a closed loop."""
        message = request.SerializeToString()

        def ended(connection: Connection, seconds: float, status: int) -> None:
            self.received.complete += status == 0
            self.received.lags.append(seconds)
            if not connection.lost:
                connection.call(message)

        connections = [
            await self._connect(address, lambda: Connection(LIST, ended)) for _ in range(4)
        ]
        for _, connection in zip(range(callers), cycle(connections), strict=False):
            connection.call(message)

    def take(self, message: WatchEntriesResponse) -> None:
        self.received.messages += 1
        self.received.entries += len(message.entries)
        if self._timed:
            now = time()
            self.received.lags += (
                now - each.create_time.seconds - each.create_time.nanos / 1e9
                for each in message.entries
            )

    def has_ended(self) -> None:
        self.received.ended += 1

    def reset(self) -> Received:
        """Returns the counts and resets them."""
        received, self.received = self.received, Received()
        received.seconds = perf_counter() - received.begun
        return received

    def close(self) -> None:
        for connection in self._connections:
            with suppress(Exception):
                connection.close()

    async def _connect(self, address: str, make: Callable[[], Connection]) -> Connection:
        host, _, port = address.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(make, host, int(port))
        await connection.ready
        self._connections.append(connection)
        return connection
