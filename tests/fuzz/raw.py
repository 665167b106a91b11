"""Bytes that no honest encoder writes."""

from __future__ import annotations

from random import Random

from google.protobuf.descriptor import Descriptor

from tests.fuzz.values import BYTES

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
DEPTHS = (3, 99, 100, 101, 150, 1_000, 20_000)
FIELD_MAX = 2**29 - 1


def varint(number: int) -> bytes:
    """A number as the wire has it; negative ones as 64 bits."""
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes([*encoded, number])


def tag(field: int, kind: int) -> bytes:
    return varint(field << 3 | kind)


def delimited(field: int, body: bytes) -> bytes:
    """A field that says its length: a text, bytes, a message or a packed list."""
    return tag(field, LENGTH) + varint(len(body)) + body


def mutated(random: Random, payload: bytes) -> bytes:
    """The payload with a few bytes cut, flipped, inserted, doubled or moved."""
    data = bytearray(payload)
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(data) + 1)
        span = slice(at, at + random.randrange(1, 9))
        match random.randrange(5):
            case 0:
                del data[at:]
            case 1:
                del data[span]
            case 2:
                data[at:at] = random.randbytes(random.randrange(1, 9))
            case 3:
                data[at:at] = data[span]
            case _ if at < len(data):
                data[at] ^= 1 << random.randrange(8)
    return bytes(data)


def odd(random: Random, payload: bytes, kind: Descriptor) -> bytes:
    """The payload with an unexpected field at its beginning or end."""
    field = random.choice(kind.fields).number if kind.fields else 1
    extra = random.choice(ODDITIES)(random, field)
    return payload + extra if random.random() < 0.8 else extra + payload


def _unknown(random: Random, _: int) -> bytes:
    return delimited(random.choice((1_000, FIELD_MAX, 19_000)), random.randbytes(50))


def _wrong_kind(random: Random, field: int) -> bytes:
    kind = random.choice((VARINT, FIXED64, LENGTH, FIXED32))
    body = {VARINT: varint(random.getrandbits(64)), FIXED64: b"8" * 8, LENGTH: b"\3abc"}
    return tag(field, kind) + body.get(kind, b"4444")


def _no_utf8(random: Random, field: int) -> bytes:
    return delimited(field, random.choice(BYTES))


def _groups(random: Random, field: int) -> bytes:
    depth = random.choice(DEPTHS)
    number = random.choice((field, FIELD_MAX))
    ends = depth if random.random() < 0.7 else depth - 1
    return tag(number, GROUP) * depth + tag(number, END_GROUP) * ends


def _nested(random: Random, field: int) -> bytes:
    body = b""
    for _ in range(random.choice(DEPTHS[:-2])):
        body = delimited(field, body)
    return body


def _bad_tag(random: Random, field: int) -> bytes:
    return random.choice(
        (b"\0", tag(0, LENGTH) + b"\0", tag(field, 6), tag(field, 7), b"\xff" * 11, b"\x80\x00")
    )


def _long_varint(_: Random, field: int) -> bytes:
    return tag(field, VARINT) + b"\xff" * 9 + b"\x01"


def _wrong_length(random: Random, field: int) -> bytes:
    return tag(field, LENGTH) + varint(random.choice((1, 2**31 - 1, 2**31, 2**32, 2**63)))


def _map_entry(random: Random, field: int) -> bytes:
    entry = delimited(1, b"DE") + random.choice((b"", delimited(2, b"EUR") * 2, b"\x10\x01"))
    return delimited(field, entry) * random.choice((1, 2, 2_000))


def _many(random: Random, field: int) -> bytes:
    return delimited(field, b"") * random.choice((2, 1_000, 1_001, 50_000))


ODDITIES = (
    _unknown, _wrong_kind, _no_utf8, _groups, _nested, _bad_tag, _long_varint, _wrong_length,
    _map_entry, _many,
)  # fmt: skip
