"""Calls whose headers, messages or frames are not those of a call."""

from __future__ import annotations

import gzip
from random import Random

from tests.fuzz.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    OPENING,
    PADDED,
    SEND_GIFT,
    USUAL,
    Header,
    block,
    call,
    frame,
    headers,
    message,
    with_header,
)

MANY = 500  # frames of a flood
MESSAGE_LENGTHS = (0, 1, 2**22, 2**22 + 1, 2**31 - 1, 2**31, 2**32 - 1)


def header_missing(random: Random, payload: bytes) -> bytes:
    left_out = random.randrange(len(USUAL))
    kept = (*USUAL[:left_out], *USUAL[left_out + 1 :])
    return OPENING + call(1, payload, kept)


def header_doubled(random: Random, payload: bytes) -> bytes:
    name, value = random.choice(USUAL)
    doubled = (*USUAL, (name, random.choice((value, "other"))))
    return OPENING + call(1, payload, doubled)


def header_odd(random: Random, payload: bytes) -> bytes:
    name, value = random.choice(ODD_HEADERS)
    odd = with_header(name, value)
    return OPENING + call(1, payload, odd)


def headers_huge(random: Random, payload: bytes) -> bytes:
    size = random.choice((8_000, 16_000, 17_000, 100_000, 1_000_000))
    parts = _split(block(*USUAL, ("x-huge", "a" * size)))
    first = frame(HEADERS, 0 if len(parts) > 1 else END_HEADERS, 1, parts[0])
    rest = [
        frame(CONTINUATION, END_HEADERS if part is parts[-1] else 0, 1, part) for part in parts[1:]
    ]
    return OPENING + first + b"".join(rest) + frame(DATA, END_STREAM, 1, message(payload))


def header_block_broken(random: Random, _: bytes) -> bytes:
    broken = random.choice((b"\xff" * 20, b"\x80", b"\xbe", b"\x3f\xff\xff\xff\xff\x7f", b"\0\xff"))
    return OPENING + frame(HEADERS, END_HEADERS, 1, broken + random.randbytes(9))


def continuation_flood(random: Random, _: bytes) -> bytes:
    start = frame(HEADERS, 0, 1, block(*USUAL))
    return OPENING + start + frame(CONTINUATION, 0, 1, random.choice((b"", b"\0\1a\1b"))) * MANY


def continuation_alone(_: Random, payload: bytes) -> bytes:
    return OPENING + frame(CONTINUATION, END_HEADERS, 1, block(*USUAL)) + call(3, payload)


def compressed(random: Random, payload: bytes) -> bytes:
    bomb = gzip.compress(bytes(8 << 20), 9) if random.random() < 0.3 else gzip.compress(payload)
    encoding = random.choice(("gzip", "deflate", "identity", "br", "x"))
    begun = headers(1, *USUAL, ("grpc-encoding", encoding))
    return OPENING + begun + frame(DATA, END_STREAM, 1, message(bomb, compressed=1))


def lying_message(random: Random, payload: bytes) -> bytes:
    lie = message(payload, length=random.choice((*MESSAGE_LENGTHS, len(payload) + 1)))
    ends = random.choice((END_STREAM, 0))
    return OPENING + headers(1) + frame(DATA, ends, 1, lie)


def several_messages(random: Random, payload: bytes) -> bytes:
    count = random.choice((0, 2, 50))
    return OPENING + headers(1) + frame(DATA, END_STREAM, 1, message(payload) * count)


def message_in_pieces(_: Random, payload: bytes) -> bytes:
    pieces = [frame(DATA, 0, 1, bytes([each])) for each in message(payload)]
    return OPENING + headers(1) + b"".join(pieces) + frame(DATA, END_STREAM, 1)


def no_message(random: Random, _: bytes) -> bytes:
    return OPENING + headers(1) + random.choice((b"", frame(DATA, END_STREAM, 1)))


def data_after_end(_: Random, payload: bytes) -> bytes:
    return OPENING + call(1, payload) + frame(DATA, END_STREAM, 1, message(payload))


def data_without_headers(random: Random, payload: bytes) -> bytes:
    return OPENING + frame(DATA, END_STREAM, random.choice((0, 1, 2, 7)), message(payload))


def padding_beyond(random: Random, payload: bytes) -> bytes:
    padded = bytes([random.choice((0, 5, 255))]) + message(payload)[:20]
    return OPENING + headers(1) + frame(DATA, PADDED | END_STREAM, 1, padded)


def streams_disordered(random: Random, payload: bytes) -> bytes:
    ids = random.choice(((2,), (0,), (5, 3), (1, 1), (2**31 - 1, 1)))
    return OPENING + b"".join(call(each, payload) for each in ids)


def cut_short(random: Random, payload: bytes) -> bytes:
    """A good conversation up to any point."""
    whole = OPENING + call(1, payload) + call(3, payload)
    return whole[: random.randrange(len(whole))]


ODD_HEADERS: tuple[Header, ...] = (
    ("content-type", "text/html"),
    ("content-type", "application/grpc+json"),
    ("content-type", "application/grpc;" + "a" * 2_000),
    (":method", "GET"),
    (":method", "PUT"),
    (":path", ""),
    (":path", "*"),
    (":path", SEND_GIFT + "\0"),
    (":path", "/" + "a" * 8_000),
    (":path", "/giftpay.v1.GiftService/Nothing"),
    (":path", "http://localhost" + SEND_GIFT),
    (":scheme", "gopher"),
    (":unknown", "a"),
    (":status", "200"),
    ("te", "gzip"),
    ("grpc-timeout", "1n"),
    ("grpc-timeout", "0S"),
    ("grpc-timeout", "99999999H"),
    ("grpc-timeout", "-1S"),
    ("grpc-timeout", "1000000000000000S"),
    ("grpc-timeout", "x"),
    ("grpc-status", "0"),
    ("grpc-message", "%00%ff"),
    ("connection", "close"),
    ("transfer-encoding", "chunked"),
    ("content-length", "1"),
    ("host", "other"),
    ("UPPER", "a"),
    ("", "empty"),
    ("x-text", "a\r\nb: c"),
    ("x-text", "\0\x80\xff"),
    ("x-trace-bin", "not base64!"),
    ("grpc-trace-bin", "AA"),
    ("grpc-tags-bin", "////"),
    ("user-agent", "a" * 8_000),
)


ATTACKS = (
    header_missing,
    header_doubled,
    header_odd,
    headers_huge,
    header_block_broken,
    continuation_flood,
    continuation_alone,
    compressed,
    lying_message,
    several_messages,
    message_in_pieces,
    no_message,
    data_after_end,
    data_without_headers,
    padding_beyond,
    streams_disordered,
    cut_short,
)


def _split(data: bytes) -> list[bytes]:
    size = 16_384
    return [data[at : at + size] for at in range(0, len(data), size)]
