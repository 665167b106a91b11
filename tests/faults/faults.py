"""The faults of `fault_proxy`, which delay, cut or swallow bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol


class Way(Protocol):
    """One direction of a connection."""

    carried: int  # bytes passed on since the fault began
    swallowed: int

    async def write(self, data: bytes) -> None:
        """Passes bytes on."""

    async def until_changed(self) -> None:
        """Waits for the end of the fault."""

    def cut(self, *, reset: bool) -> None:
        """Ends the connection on both sides, with RST or with FIN."""


class Fault(Protocol):
    """How bytes are passed on, if they are."""

    async def carry(self, data: bytes, way: Way) -> None:
        """Forwards some bytes as the fault lets them."""


@dataclass(frozen=True, slots=True)
class Sound:
    """No fault: all bytes are forwarded."""

    async def carry(self, data: bytes, way: Way) -> None:
        await way.write(data)


@dataclass(frozen=True, slots=True)
class Delay:
    """Everything arrives later."""

    seconds: float

    async def carry(self, data: bytes, way: Way) -> None:
        await asyncio.sleep(self.seconds)
        await way.write(data)


@dataclass(frozen=True, slots=True)
class Trickle:
    """A few bytes at a time, with a pause after each."""

    size: int
    pause_s: float

    async def carry(self, data: bytes, way: Way) -> None:
        for at in range(0, len(data), self.size):
            await way.write(data[at : at + self.size])
            await asyncio.sleep(self.pause_s)


@dataclass(frozen=True, slots=True)
class Cut:
    """After so many more bytes the connection ends, with RST or with FIN."""

    after: int
    reset: bool = True

    async def carry(self, data: bytes, way: Way) -> None:
        left = self.after - way.carried
        await way.write(data[:left])
        if len(data) >= left:
            way.cut(reset=self.reset)


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Everything is swallowed, the end of the connection included; connections never recover."""

    async def carry(self, data: bytes, way: Way) -> None:
        way.swallowed += len(data)


@dataclass(frozen=True, slots=True)
class Outage:
    """No bytes are forwarded until it is over; then all of them arrive."""

    async def carry(self, data: bytes, way: Way) -> None:
        await way.until_changed()
        await way.write(data)
