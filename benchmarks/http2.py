"""A minimal gRPC client over HTTP/2: sends prepared frames and parses frame headers only.

A generated stub needs ten times the CPU of this, more than the server under test; it would
measure itself. Not supported: header compression beyond one fixed request, TLS, priorities.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 4, 5

WINDOW_MAX = 2**31 - 1
WINDOW_DEFAULT = 65_535
REFILL_BYTES = 2**30
FRAME_HEADER = struct.Struct(">IBI")  # length and type in one, flags, stream
FRAME_HEADER_BYTES = 9

# Without a header table the server sends literal trailers, so that a status is found by its bytes.
OUR_SETTINGS = struct.pack(">HIHI", HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, WINDOW_MAX)
STATUS = b"grpc-status"
CANCEL = struct.pack(">I", 8)

Ended = Callable[["Connection", float, int], None]  # seconds, gRPC status (-1: none)
Received = Callable[["Connection", bytes], None]


class Connection(asyncio.Protocol):
    """One connection that calls one method; `ended` is called per call, `received` per DATA."""

    def __init__(self, method: str, ended: Ended, received: Received | None = None) -> None:
        self._method = method
        self._ended = ended
        self._received = received
        self._rest = b""
        self._next_stream = 1
        self._started: dict[int, float] = {}
        self._window = WINDOW_DEFAULT  # what the connection may still send
        self._stream_window = WINDOW_DEFAULT  # what a new stream may send
        self._windows: dict[int, int] = {}  # what streams with unsent data may send
        self._unsent: deque[tuple[int, bytes, int]] = deque()  # stream, data, flags at its end
        self._frame_max = 16_384
        self._consumed = 0
        self._headers = _indexed_headers()
        self.ready = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass
        window = struct.pack(">I", WINDOW_MAX - WINDOW_DEFAULT)
        self._transport.write(
            PREFACE + frame(SETTINGS, 0, 0, OUR_SETTINGS) + frame(WINDOW_UPDATE, 0, 0, window)
        )

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def close(self) -> None:
        """Aborts the connection and the calls in flight."""
        self._transport.abort()

    def call(self, message: bytes) -> None:
        """Makes a unary call."""
        self.send(self.open(), message, END_STREAM)

    def open(self) -> int:
        """Begins a call and returns its stream."""
        stream = self._next_stream
        self._next_stream += 2
        headers = self._headers if stream > 1 else first_headers(self._method)
        self._transport.write(frame(HEADERS, END_HEADERS, stream, headers))
        self._started[stream] = perf_counter()
        self._windows[stream] = self._stream_window
        return stream

    def send(self, stream: int, message: bytes, flags: int = 0) -> None:
        """Sends one gRPC message on a call, within the server's flow-control windows."""
        self._unsent.append((stream, b"\0" + struct.pack(">I", len(message)) + message, flags))
        self._flush()

    def finish(self, stream: int) -> None:
        """Half-closes a call: no message follows."""
        self._unsent.append((stream, b"", END_STREAM))
        self._flush()

    def cancel(self, stream: int) -> None:
        """Cancels a call; `ended` is not called."""
        self._transport.write(frame(RST_STREAM, 0, stream, CANCEL))
        self._started.pop(stream, None)
        self._windows.pop(stream, None)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        while end - at >= FRAME_HEADER_BYTES:
            length_and_kind, flags, stream = FRAME_HEADER.unpack_from(data, at)
            body = at + FRAME_HEADER_BYTES
            after = body + (length_and_kind >> 8)
            if after > end:
                break
            self._take(length_and_kind & 0xFF, flags, stream, data[body:after])
            at = after
        self._rest = data[at:]

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == DATA:
            self._take_data(stream, body)
        elif kind == HEADERS:
            if flags & END_STREAM:
                self._end(stream, _status(body))
        elif kind == WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(body, "big"))
        elif kind == PING and not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, body))
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(body)
        elif kind == RST_STREAM:
            self._end(stream, -1)

    def _take_data(self, stream: int, body: bytes) -> None:
        if self._received is not None:
            self._received(self, body)
        self._consumed += len(body)
        if self._consumed > REFILL_BYTES:
            refill = struct.pack(">I", self._consumed)
            self._transport.write(frame(WINDOW_UPDATE, 0, 0, refill))
            self._consumed = 0

    def _end(self, stream: int, status: int) -> None:
        started = self._started.pop(stream, None)
        self._windows.pop(stream, None)
        if started is not None:
            self._ended(self, perf_counter() - started, status)

    def _take_settings(self, body: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", body):
            if name == INITIAL_WINDOW_SIZE:
                grown, self._stream_window = value - self._stream_window, value
                self._windows = {s: window + grown for s, window in self._windows.items()}
            elif name == MAX_FRAME_SIZE:
                self._frame_max = value
        self._transport.write(frame(SETTINGS, ACK, 0, b""))
        if not self.ready.done():
            self.ready.set_result(None)
        self._flush()

    def _widen(self, stream: int, by: int) -> None:
        if stream == 0:
            self._window += by
        elif stream in self._windows:
            self._windows[stream] += by
        self._flush()

    def _flush(self) -> None:
        while self._unsent:
            stream, data, flags = self._unsent[0]
            window = self._windows.get(stream, 0)
            size = min(len(data), self._window, window, self._frame_max)
            if size <= 0 < len(data) and stream in self._windows:
                return  # flow control: the first in the queue waits, and those behind it
            self._unsent.popleft()
            if stream not in self._windows:
                continue  # its call has ended
            last = size == len(data)
            self._transport.write(frame(DATA, flags if last else 0, stream, data[:size]))
            self._window -= size
            self._windows[stream] = window - size
            if not last:
                self._unsent.appendleft((stream, data[size:], flags))


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return FRAME_HEADER.pack(len(body) << 8 | kind, flags, stream) + body


def _status(trailers: bytes) -> int:
    at = trailers.find(STATUS)
    if at < 0:
        return -1
    length = trailers[at + len(STATUS)]
    return int(trailers[at + len(STATUS) + 1 : at + len(STATUS) + 1 + length])


def first_headers(method: str) -> bytes:
    """RFC 7541: :method POST, :scheme http, then four for the server's dynamic table."""
    remembered = (
        b"\x44" + literal(method),  # :path
        b"\x41" + literal("localhost"),  # :authority
        b"\x5f" + literal("application/grpc"),  # content-type
        b"\x40" + literal("te") + literal("trailers"),
    )
    return b"\x83\x86" + b"".join(remembered)


def _indexed_headers() -> bytes:
    return b"\x83\x86" + bytes(0x80 | index for index in (65, 64, 63, 62))


def literal(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()
