"""Drives a server with gifts: callers in a closed loop, calls at a rate, or streams."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from time import perf_counter, process_time

import uvloop

from benchmarks.gifts import Spread, batches, gifts
from benchmarks.http2 import Connection
from benchmarks.meters import cpu_by_part
from benchmarks.outcomes import OutcomeCounter
from benchmarks.pace import paced
from benchmarks.samples import Count, Sample

UNARY = "/giftpay.v1.GiftService/SendGift"
BATCH = "/giftpay.v1.GiftService/BatchSendGifts"
STREAM = "/giftpay.v1.GiftService/StreamGifts"

BACK_OFF_S = 0.1  # before a refused caller retries, as RetryInfo says
DRAIN_S = 15
UNDECIDED_MAX = 2_000  # gifts in flight on a stream: twice what the server allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The parameters of a load."""

    addresses: Sequence[str]  # for connections, round-robin
    method: str = UNARY
    connections: int = 1
    callers: int = 1  # on each connection
    size: int = 1  # gifts in a message
    rate: float | None = None  # calls a second (open loop); None: closed loop
    spread: Spread = Spread.UNIFORM
    suffix: bytes = b""  # a part of a serialized request, such as its message
    pids: Mapping[str, Sequence[int]] = field(default_factory=dict)  # whose CPU to measure, by part


def run_load(load: Load, warm_up_s: float, seconds: float) -> Sample:
    """Applies the load, measures it once it has warmed up, and lets it drain."""
    driver = Streams(load) if load.method == STREAM else Calls(load)
    return uvloop.run(driver.run(warm_up_s, seconds))


class _Driver(ABC):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._messages = _messages(load)
        self._connections: list[Connection] = []
        self._in_flight = 0
        self._going = True
        self._drained = asyncio.Event()
        self._acknowledged = 0
        self._count = Count()

    async def run(self, warm_up_s: float, seconds: float) -> Sample:
        where = islice(cycle(self._load.addresses), self._load.connections)
        self._connections = [await self._connect(at, self._connection) for at in where]
        self._start()
        await asyncio.sleep(warm_up_s)
        sample = await self._measure(seconds)
        self._stop()
        if self._in_flight:
            await asyncio.wait_for(self._drained.wait(), DRAIN_S)
        for connection in self._connections:
            connection.close()
        return sample(acknowledged=self._acknowledged)

    async def _connect(self, address: str, make: Callable[[], Connection]) -> Connection:
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(make, host, int(port))
        await asyncio.wait_for(connection.ready, DRAIN_S)
        return connection

    async def _measure(self, seconds: float) -> Callable[..., Sample]:
        before, started = self._cpu(), perf_counter()
        self._count = Count()
        await asyncio.sleep(seconds)
        count, lasted, after = self._count, perf_counter() - started, self._cpu()
        used = {part: (after[part] - before[part]) / lasted for part in after}
        return partial(count.sample, window_s=lasted, cpu_share=used)

    def _cpu(self) -> dict[str, float]:
        return {**cpu_by_part(self._load.pids), "load": process_time()}

    def _connection(self) -> Connection:
        return Connection(self._load.method, self._ended)

    @abstractmethod
    def _start(self) -> None: ...

    def _stop(self) -> None:
        self._going = False

    @abstractmethod
    def _ended(self, connection: Connection, seconds: float, status: int) -> None: ...

    def _accepted(self, gifts: int) -> None:
        self._acknowledged += gifts
        self._count.accepted(gifts)

    def _one_ended(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._drained.set()


class Calls(_Driver):
    """Unary calls."""

    def _start(self) -> None:
        if self._load.rate is not None:
            self._pace = asyncio.create_task(paced(self._load.rate, self._call_next))
            return
        for connection in self._connections:
            for _ in range(self._load.callers):
                self._call(connection)

    def _stop(self) -> None:
        super()._stop()
        if self._load.rate is not None:
            self._pace.cancel()

    def _call_next(self, number: int) -> None:
        self._call(self._connections[number % len(self._connections)])

    def _call(self, connection: Connection) -> None:
        if self._going:
            self._in_flight += 1
            connection.call(next(self._messages))

    def _ended(self, connection: Connection, seconds: float, status: int) -> None:
        self._one_ended()
        if status == 0:
            self._accepted(self._load.size)
            self._count.times.append(seconds)
        else:
            self._count.not_accepted(self._load.size, status)
        if self._load.rate is not None:
            return
        if status == 0:
            self._call(connection)
        else:
            asyncio.get_running_loop().call_later(BACK_OFF_S, self._call, connection)


class Streams(_Driver):
    """One stream on each connection, kept full."""

    def _connection(self) -> Connection:
        counter = OutcomeCounter()
        return Connection(
            STREAM, self._ended, lambda made, data: self._decided(made, counter.feed(data))
        )

    def _start(self) -> None:
        self._streams: dict[Connection, int] = {}
        self._undecided: dict[Connection, int] = {}
        for connection in self._connections:
            self._open(connection)

    def _open(self, connection: Connection) -> None:
        if self._going:
            self._in_flight += 1
            self._streams[connection] = connection.open()
            self._undecided[connection] = 0
            self._fill(connection)

    def _stop(self) -> None:
        super()._stop()
        for connection, stream in self._streams.items():
            connection.finish(stream)

    def _fill(self, connection: Connection) -> None:
        while self._going and self._undecided[connection] + self._load.size <= UNDECIDED_MAX:
            self._undecided[connection] += self._load.size
            connection.send(self._streams[connection], next(self._messages))

    def _decided(self, connection: Connection, outcomes: int) -> None:
        self._undecided[connection] -= outcomes
        self._accepted(outcomes)
        self._fill(connection)

    def _ended(self, connection: Connection, seconds: float, status: int) -> None:
        self._one_ended()
        self._count.not_accepted(self._undecided[connection], status)
        if self._going:
            asyncio.get_running_loop().call_later(BACK_OFF_S, self._open, connection)


def _messages(load: Load) -> Iterator[bytes]:
    source = gifts(load.spread, load.suffix)
    return source if load.method == UNARY else batches(source, load.size)
