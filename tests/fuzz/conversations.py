"""Sends attacks, each over its own socket, and records the server's reaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.http2 import FRAME_HEADER, FRAME_HEADER_BYTES
from tests.faults.connections import close
from tests.fuzz.attacks import ATTACKS
from tests.fuzz.frames import GOAWAY, HEADERS
from tests.fuzz.inputs import payload, source
from tests.fuzz.messages import World
from tests.fuzz.rpcs import every_rpc
from tests.fuzz.sending import Findings

AT_A_TIME = 64
LISTEN_S = 0.1  # for the server's answer
PATIENCE_S = 30  # for the server to accept a connection and read the bytes
RECEIVE_MAX = 1 << 20
ENDS = ("close", "reset", "half close")


@dataclass(frozen=True, slots=True)
class Attack:
    """The bytes sent over one connection, and how it is ended."""

    number: int
    name: str
    sent: bytes
    end: str

    def __str__(self) -> str:
        return f"input {self.number}, {self.name}, {self.end}: tcp {self.sent[:2_000].hex()}"


class Attacks:
    """The attacks of a seed."""

    def __init__(self, seed: int, world: World) -> None:
        self._seed, self._world = seed, world
        [self._send_gift] = [rpc for rpc in every_rpc() if rpc.name == "SendGift"]

    def __getitem__(self, number: int) -> Attack:
        random = source(self._seed, number)
        name = random.choice(list(ATTACKS))
        gift = payload(random, self._world, self._send_gift, "valid")
        return Attack(number, name, ATTACKS[name](random, gift), random.choice(ENDS))


class Attacker:
    """Makes a few connections at a time, each of them hostile."""

    def __init__(self, address: str, findings: Findings) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._findings = findings

    async def send(self, attacks: Iterable[Attack]) -> None:
        """Makes all attacks."""
        source = iter(attacks)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(self._work(source))

    async def _work(self, source: Iterator[Attack]) -> None:
        for each in source:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    ended = await self._attack(each)
            except TimeoutError:
                self._findings.note("tcp: stuck", f"not taken within {PATIENCE_S} s", each)
            except ConnectionRefusedError:
                self._findings.note("tcp: refused", "nobody listens", each)
            except OSError:
                self._findings.note("tcp: reset", "", each)
            else:
                self._findings.note(f"tcp: {ended}", "", each)

    async def _attack(self, each: Attack) -> str:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(each.sent)
            if each.end == "half close":
                writer.write_eof()
            return await _listen(reader)
        finally:
            close(writer, reset=each.end == "reset")


async def _listen(reader: asyncio.StreamReader) -> str:
    """A summary of the server's answer."""
    received, open_still = b"", True
    try:
        async with asyncio.timeout(LISTEN_S):
            while open_still and len(received) < RECEIVE_MAX:
                data = await reader.read(1 << 16)
                received, open_still = received + data, bool(data)
    except TimeoutError:
        pass
    kinds = set(_kinds(received))
    answer = "GOAWAY" if GOAWAY in kinds else "answered" if HEADERS in kinds else "no answer"
    return f"{answer}, {'open' if open_still else 'closed'}"


def _kinds(received: bytes) -> Iterator[int]:
    """The types of the frames that came."""
    at = 0
    while at + FRAME_HEADER_BYTES <= len(received):
        length_and_kind, _, _ = FRAME_HEADER.unpack_from(received, at)
        yield length_and_kind & 0xFF
        at += FRAME_HEADER_BYTES + (length_and_kind >> 8)
