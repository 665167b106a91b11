"""HTTP/2 frames, well-formed and not, and the calls that are made of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from benchmarks.http2 import FRAME_HEADER, PREFACE

__all__ = ["PREFACE"]

(
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
    CONTINUATION,
) = range(10)  # fmt: skip
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
SEND_GIFT = "/giftpay.v1.GiftService/SendGift"

Header = tuple[str, str]

USUAL: tuple[Header, ...] = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", SEND_GIFT),
    (":authority", "localhost"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


def frame(kind: int, flags: int, stream: int, body: bytes = b"", *, length: int = -1) -> bytes:
    """A frame; `length` replaces its true length."""
    size = len(body) if length < 0 else length
    return FRAME_HEADER.pack((size & 0xFFFFFF) << 8 | kind, flags, stream) + body


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def block(*headers: Header) -> bytes:
    """A header block of literals, none of them to be remembered."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)


def headers(stream: int, *pairs: Header, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, block(*(pairs or USUAL)))


def with_header(name: str, value: str) -> tuple[Header, ...]:
    """The usual headers, one of them another."""
    return (*(pair for pair in USUAL if pair[0] != name), (name, value))


def message(payload: bytes, *, compressed: int = 0, length: int = -1) -> bytes:
    """A gRPC message; `length` replaces its true length."""
    size = len(payload) if length < 0 else length
    return struct.pack(">BI", compressed, size) + payload


def call(stream: int, payload: bytes, pairs: Sequence[Header] = USUAL) -> bytes:
    """A whole unary call."""
    return headers(stream, *pairs) + frame(DATA, END_STREAM, stream, message(payload))


OPENING = PREFACE + settings()


def _text(text: str) -> bytes:
    encoded = text.encode("latin-1")
    return _length(len(encoded)) + encoded


def _length(size: int) -> bytes:
    """RFC 7541, 5.1, of seven bits."""
    if size < 0x7F:
        return bytes([size])
    size -= 0x7F
    encoded = bytearray([0x7F])
    while size >= 0x80:
        encoded.append(0x80 | size & 0x7F)
        size >>= 7
    return bytes([*encoded, size])
