"""Connections with a protocol other than HTTP/2, or with floods of its frames."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OPENING,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
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
)

MANY = 500  # frames of a flood
LENGTHS = (0, 1, 4, 5, 8, 9, 16_384, 16_385, 2**24 - 1)


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


def mangled(random: Random, payload: bytes) -> bytes:
    """A good conversation with a few bytes flipped."""
    data = bytearray(OPENING + call(1, payload) + call(3, payload))
    for _ in range(random.choice((1, 3, 10))):
        data[random.randrange(len(PREFACE), len(data))] = random.randrange(256)
    return bytes(data)


def noise(random: Random, _: bytes) -> bytes:
    return random.choice((b"", OPENING)) + random.randbytes(random.choice((1, 9, 500, 20_000)))


ATTACKS = (
    wrong_preface,
    http_1,
    tls_hello,
    any_frame,
    lying_frame,
    resets,
    reset_of_nothing,
    priorities,
    settings_odd,
    settings_flood,
    pings,
    windows,
    no_window,
    goaway,
    push,
    mangled,
    noise,
)
