"""The attacks by name: each goes on until it is cancelled, at a rate or with so much at once."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import TypeAlias

import uvloop
from giftpay.v1 import UNIT_DIAMOND, ListEntriesRequest, WatchEntriesRequest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from benchmarks.gifts import creator
from benchmarks.hostile.wire import Attacker, Tally
from benchmarks.http2 import END_STREAM
from benchmarks.load import STREAM, UNARY
from benchmarks.pace import paced

LIST = "/giftpay.v1.WalletService/ListEntries"
WATCH = "/giftpay.v1.WalletService/WatchEntries"
HEALTH = "/grpc.health.v1.Health/Watch"

NICE = 10  # of the attackers, who in truth have machines of their own
BOMB_MB = 64
BOMBS_A_SECOND = 16
BURST = 1_000  # pings or resets in one write
PINGS_A_SECOND = 50_000
RESETS_A_SECOND = 20_000
STREAMS, STREAM_CONNECTIONS = 10_000, 20
OPENED_A_SECOND, OPENED_AGAIN_A_SECOND = 2_500, 200
BEGIN_S = 6.0  # until an attack is all there: 10,000 streams take four seconds to open
READERS, READER_CONNECTIONS, PAGE = 40, 4, 1_000

Attack: TypeAlias = Callable[[str, Tally], Awaitable[None]]  # on an address


async def bombs(address: str, tally: Tally) -> None:
    """Messages of 63 kB that inflate to 64 MB, though no message may have more than 4 MB."""
    bomb = gzip.compress(bytes(BOMB_MB * 2**20), 9)
    connections = await _connected(4, address, UNARY, tally, encoding="gzip")
    await _each(connections, BOMBS_A_SECOND, lambda each: each.compressed(bomb))


async def pings(address: str, tally: Tally) -> None:
    """Pings on connections that read nothing."""
    connections = await _connected(4, address, UNARY, tally)
    for each in connections:
        each.stop_reading()
    await _each(connections, PINGS_A_SECOND / BURST, lambda each: each.pings(BURST))


async def resets(address: str, tally: Tally) -> None:
    """Calls that are cancelled as soon as they are begun."""
    connections = await _connected(4, address, UNARY, tally)
    await _each(connections, RESETS_A_SECOND / BURST, lambda each: each.resets(BURST))


async def open_calls(method: str, message: bytes | None, address: str, tally: Tally) -> None:
    """Ten thousand calls that stay open; what ends is opened again, some a second."""
    connections = await _connected(STREAM_CONNECTIONS, address, method, tally)

    def open_one(connection: Attacker) -> None:
        if connection.under_way < STREAMS // STREAM_CONNECTIONS:
            stream = connection.open()
            if message is not None:
                connection.send(stream, message, END_STREAM)

    with suppress(TimeoutError):
        async with asyncio.timeout(STREAMS / OPENED_A_SECOND):
            await _each(connections, OPENED_A_SECOND, open_one)
    await _each(connections, OPENED_AGAIN_A_SECOND, open_one)


async def readers(address: str, tally: Tally) -> None:
    """Readers of pages of a thousand, each of whom asks again at once."""
    asked = ListEntriesRequest(owner_id=creator(0), unit=UNIT_DIAMOND, page_size=PAGE)
    call = asked.SerializeToString()

    def again(connection: Attacker) -> None:
        if not connection.lost:
            connection.call(call)

    for each in await _connected(READER_CONNECTIONS, address, LIST, tally, again=again):
        for _ in range(READERS // READER_CONNECTIONS):
            each.call(call)
    await asyncio.Event().wait()


async def nothing(address: str, tally: Tally) -> None:
    """Two slices of the honest caller alone, which should be alike."""
    await asyncio.Event().wait()


def _watching() -> bytes:
    return WatchEntriesRequest(owner_id=creator(0), unit=UNIT_DIAMOND).SerializeToString()


def _watching_idle() -> bytes:
    """From a position that is never passed: the follower gets heartbeats only."""
    request = WatchEntriesRequest(owner_id=creator(1), unit=UNIT_DIAMOND)
    return request.SerializeToString()


ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "bombs": bombs,
    "pings": pings,
    "resets": resets,
    "followers": partial(open_calls, WATCH, _watching_idle()),
    "half-open followers": partial(open_calls, WATCH, None),
    "gift streams": partial(open_calls, STREAM, None),
    "health watchers": partial(open_calls, HEALTH, HealthCheckRequest().SerializeToString()),
    "unsent calls": partial(open_calls, UNARY, None),
    "readers": readers,
}


def run_attack(name: str, address: str, seconds: float) -> Tally:
    """Attacks for so long, in this process."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    return uvloop.run(_attack(name, address, seconds))


async def _attack(name: str, address: str, seconds: float) -> Tally:
    tally = Tally()
    attack = asyncio.ensure_future(ATTACKS[name](address, tally))
    await asyncio.wait([attack], timeout=seconds)
    result = Tally(tally.sent, tally.closed, tally.ended.copy())
    attack.cancel()
    await asyncio.wait([attack])
    if not attack.cancelled():
        attack.result()
    return result


async def _connected(
    count: int,
    address: str,
    method: str,
    tally: Tally,
    *,
    encoding: str = "",
    again: Callable[[Attacker], None] | None = None,
) -> list[Attacker]:
    make = partial(Attacker, method, tally, encoding=encoding, again=again)
    return [await make().connected(address) for _ in range(count)]


async def _each(
    connections: Sequence[Attacker], rate: float, act: Callable[[Attacker], None]
) -> None:
    """Acts so many times a second, on each connection in turn; what was lost is made anew."""
    ring = list(connections)
    turns = cycle(range(len(ring)))

    def one(_: int) -> None:
        at = next(turns)
        if ring[at].lost:
            ring[at] = ring[at].successor()
        elif ring[at].ready.done() and not ring[at].clogged:
            act(ring[at])

    await paced(rate, one)
