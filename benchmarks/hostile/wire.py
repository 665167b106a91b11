"""A connection that does what no client library would."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.http2 import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    RST_STREAM,
    Connection,
    first_headers,
    frame,
    literal,
)

CONNECT_S = 15
CANCEL = struct.pack(">I", 8)
CLOGGED_BYTES = 2**20  # unsent: the server does not read, and more would only fill our memory


@dataclass(slots=True)
class Tally:
    """What became of the attack."""

    sent: int = 0
    closed: int = 0  # connections, by the server
    ended: Counter[int] = field(default_factory=Counter)  # calls, by status; -1: reset


class Attacker(Connection):
    """One hostile connection, and how to make it again."""

    def __init__(
        self,
        method: str,
        tally: Tally,
        *,
        encoding: str = "",
        again: Callable[[Attacker], None] | None = None,
    ) -> None:
        super().__init__(method, self._one_ended)
        self.under_way = 0
        self.address = ""
        self._reads = True
        self._tally = tally
        self._encoding = encoding
        self._again = again

    async def connected(self, address: str) -> Attacker:
        """Itself, once the server has answered."""
        await self._dial(address)
        await asyncio.wait_for(self.ready, CONNECT_S)
        return self

    async def _dial(self, address: str) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        await asyncio.get_running_loop().create_connection(lambda: self, host, int(port))

    def successor(self) -> Attacker:
        """Another connection like this one, on its way."""
        other = Attacker(self._method, self._tally, encoding=self._encoding, again=self._again)
        other._reads = self._reads
        self._dialing = asyncio.create_task(other._dial(self.address))
        return other

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._tally.closed += 1

    @property
    def clogged(self) -> bool:
        """Whether the server takes nothing more for now."""
        return self._transport.get_write_buffer_size() > CLOGGED_BYTES

    def stop_reading(self) -> None:
        """Whatever the server writes stays with it."""
        self._reads = False
        self._transport.pause_reading()

    def open(self) -> int:
        self.under_way += 1
        self._tally.sent += 1
        return super().open()

    def pings(self, count: int) -> None:
        if not self._reads:
            self._transport.pause_reading()
        self._tally.sent += count
        self._transport.write(frame(PING, 0, 0, bytes(8)) * count)

    def resets(self, count: int) -> None:
        self._tally.sent += count
        first = self._next_stream
        self._next_stream += 2 * count
        headers = first_headers(self._method)
        self._transport.write(
            b"".join(
                frame(HEADERS, END_HEADERS, stream, headers) + frame(RST_STREAM, 0, stream, CANCEL)
                for stream in range(first, self._next_stream, 2)
            )
        )

    def compressed(self, payload: bytes) -> None:
        """A unary call whose message is said to be compressed."""
        self._tally.sent += 1
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        encoding = b"\0" + literal("grpc-encoding") + literal(self._encoding)
        headers = first_headers(self._method) + encoding
        self._transport.write(frame(HEADERS, END_HEADERS, stream, headers))
        self._started[stream], self._windows[stream] = 0.0, self._stream_window
        message = b"\1" + struct.pack(">I", len(payload)) + payload
        self._unsent.append((stream, message, END_STREAM))
        self._flush()

    def _one_ended(self, connection: Connection, seconds: float, status: int) -> None:
        self.under_way -= 1
        self._tally.ended[status] += 1
        if self._again is not None:
            self._again(self)
