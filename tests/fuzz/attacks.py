"""What may come over a TCP connection in the place of well-formed HTTP/2."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Mapping
from random import Random

from tests.fuzz import frames
from tests.fuzz.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OPENING,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SEND_GIFT,
    SETTINGS,
    USUAL,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    block,
    call,
    frame,
    headers,
    message,
    settings,
    with_header,
)

MANY = 500  # frames of a flood
LENGTHS = (0, 1, 4, 5, 8, 9, 16_384, 16_385, 2**24 - 1)
MESSAGE_LENGTHS = (0, 1, 2**22, 2**22 + 1, 2**31 - 1, 2**31, 2**32 - 1)

Attack = Callable[[Random, bytes], bytes]  # of a payload for SendGift, to what is sent


def wrong_preface(random: Random, payload: bytes) -> bytes:
    return random.choice(
        (b"", b"\0" * 24, PREFACE[:-1], PREFACE * 2, PREFACE.lower(), random.randbytes(24))
    ) + call(1, payload)


def http_1(random: Random, payload: bytes) -> bytes:
    verb = random.choice((b"GET", b"POST", b"CONNECT", b"PRI"))
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    return verb + b" / HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n" + payload


def tls_hello(random: Random, _: bytes) -> bytes:
    hello = b"\x01\x00\x01\xfc\x03\x03" + random.randbytes(506)
    return b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello


def any_frame(random: Random, _: bytes) -> bytes:
    body = random.randbytes(random.choice((0, 1, 4, 5, 8, 40)))
    kind, flags = random.choice((*range(10), 10, 255)), random.getrandbits(8)
    return OPENING + frame(kind, flags, random.choice((0, 1, 2, 3, 2**31 - 1, 2**32 - 1)), body)


def lying_frame(random: Random, payload: bytes) -> bytes:
    kind = random.choice((DATA, HEADERS, SETTINGS, PING, RST_STREAM, WINDOW_UPDATE, GOAWAY))
    lie = frame(kind, END_HEADERS, random.randrange(2), b"12345678", length=random.choice(LENGTHS))
    return OPENING + lie + call(3, payload)


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


def resets(random: Random, payload: bytes) -> bytes:
    many = [
        headers(2 * n + 1)
        + random.choice((b"", frame(DATA, END_STREAM, 2 * n + 1, message(payload))))
        + frame(RST_STREAM, 0, 2 * n + 1, struct.pack(">I", random.randrange(14)))
        for n in range(random.choice((1, 100)))
    ]
    return OPENING + b"".join(many)


def reset_of_nothing(random: Random, payload: bytes) -> bytes:
    stream = random.choice((0, 1, 2, 99))
    return OPENING + frame(RST_STREAM, 0, stream, bytes(4)) + call(101, payload)


def priorities(random: Random, payload: bytes) -> bytes:
    body = struct.pack(">IB", random.choice((0, 1, 3, 2**31 | 1)), 255)
    flood = frame(PRIORITY, 0, 1, body) * random.choice((1, MANY))
    own = frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, body + block(*USUAL))
    return OPENING + flood + own + frame(DATA, END_STREAM, 1, message(payload))


def settings_odd(random: Random, payload: bytes) -> bytes:
    pairs = [
        (random.choice((*range(8), 0xFE03, 0xFFFF)), random.choice((0, 1, 2**31 - 1, 2**32 - 1)))
        for _ in range(random.choice((1, 5, 100)))
    ]
    return PREFACE + settings(*pairs) + call(1, payload)


def settings_flood(random: Random, payload: bytes) -> bytes:
    each = random.choice((settings(), settings((4, 65_535)), frame(SETTINGS, ACK, 0)))
    return OPENING + each * MANY + call(1, payload)


def pings(_: Random, payload: bytes) -> bytes:
    return OPENING + frame(PING, 0, 0, b"12345678") * MANY + call(1, payload)


def windows(random: Random, payload: bytes) -> bytes:
    by = struct.pack(">I", random.choice((0, 1, 2**31 - 1, 2**32 - 1)))
    update = frame(WINDOW_UPDATE, 0, random.choice((0, 1, 5)), by) * random.choice((1, 3, MANY))
    return OPENING + headers(1) + update + frame(DATA, END_STREAM, 1, message(payload))


def no_window(_: Random, payload: bytes) -> bytes:
    return PREFACE + settings((4, 0)) + call(1, payload)


def goaway(random: Random, payload: bytes) -> bytes:
    body = struct.pack(">II", random.choice((0, 1, 2**31 - 1)), random.randrange(14)) + b"bye"
    return OPENING + call(1, payload) + frame(GOAWAY, 0, 0, body) + call(3, payload)


def push(_: Random, payload: bytes) -> bytes:
    promise = struct.pack(">I", 2) + block(*USUAL)
    return OPENING + frame(PUSH_PROMISE, END_HEADERS, 1, promise) + call(3, payload)


def streams_disordered(random: Random, payload: bytes) -> bytes:
    ids = random.choice(((2,), (0,), (5, 3), (1, 1), (2**31 - 1, 1)))
    return OPENING + b"".join(call(each, payload) for each in ids)


def mangled(random: Random, payload: bytes) -> bytes:
    """A good conversation with a few bytes flipped."""
    data = bytearray(OPENING + call(1, payload) + call(3, payload))
    for _ in range(random.choice((1, 3, 10))):
        data[random.randrange(len(PREFACE), len(data))] = random.randrange(256)
    return bytes(data)


def cut_short(random: Random, payload: bytes) -> bytes:
    """A good conversation up to any point."""
    whole = OPENING + call(1, payload) + call(3, payload)
    return whole[: random.randrange(len(whole))]


def noise(random: Random, _: bytes) -> bytes:
    return random.choice((b"", OPENING)) + random.randbytes(random.choice((1, 9, 500, 20_000)))


ODD_HEADERS: tuple[frames.Header, ...] = (
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

ATTACKS: Mapping[str, Attack] = {
    each.__name__: each
    for each in (
        wrong_preface, http_1, tls_hello, any_frame, lying_frame, header_missing, header_doubled,
        header_odd, headers_huge, header_block_broken, continuation_flood, continuation_alone,
        compressed, lying_message, several_messages, message_in_pieces, no_message, data_after_end,
        data_without_headers, padding_beyond, resets, reset_of_nothing, priorities, settings_odd,
        settings_flood, pings, windows, no_window, goaway, push, streams_disordered, mangled,
        cut_short, noise,
    )
}  # fmt: skip


def _split(data: bytes) -> list[bytes]:
    size = 16_384
    return [data[at : at + size] for at in range(0, len(data), size)]
