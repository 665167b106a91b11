"""Hostile values of texts, numbers and times."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

SIZES = (63, 64, 65, 127, 128, 129, 199, 200, 201, 1_000, 100_000)  # about the bounds of texts

TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "key\n",
    "\r\n\t",
    "\x1b[31mred\x1b[0m",
    "\u202eevil\u202c",
    "\u200b\u200d\ufeff",
    "\ufffe\uffff\U0010ffff",
    "Z\u0351\u036b\u0343" * 30,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0130stanbul \ufb03 \u1e9e",
    "\u0660\u0661\u0662",
    "\u3000",
    "\u2028\u2029\x85",
    "%s%n{owner_id}{0}{",
    "'; DROP TABLE entry; --",
    "\\x00\\u0000",
    "../../etc/passwd",
    "null",
    "NaN",
    "-1",
    "1e400",
    "9" * 5_000,
    "[" * 5_000,
    "00000000-0000-0000-0000-000000000000",
    "{019a0000-0000-7000-8000-000000000000}",
    "019A0000-0000-7000-8000-000000000000",
    "urn:uuid:019a0000-0000-7000-8000-000000000000",
    "0001-01-01",
    "9999-12-31",
    "2024-02-30",
    "GIFT_SALES",
)

BYTES = (b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"a\x80", b"\xf4\x90\x80\x80")  # not UTF-8

INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
EDGES = (0, 1, -1, 10_000, 10_001, 10**9, 10**9 + 1, 10**12, 10**12 + 1, -(10**12), -(10**12) - 1)
FLOATS = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7e308)

SECONDS = (
    -(2**63),
    -62_135_596_801,
    -62_135_596_800,
    0,
    253_402_300_799,
    253_402_300_800,
    2**63 - 1,
)
NANOS = (-(2**31), -1, 0, 1, 999_999_999, 1_000_000_000, 2**31 - 1)

JSONS = (
    "true", "false", "null", "1.5", "-1", "0", "1e400", "NaN", "Infinity", str(2**63 - 1),
    str(2**63), str(2**64), "9" * 400, "9" * 5_000, "[]", "[1]", "{}", '{"a":1}', '""', '"\\u0000"',
    '"\\ud800"', '"0001-01-01T00:00:00"', '"9999-12-31T23:59:59.999999-23:59"',
    '"0001-01-01T00:00:00+23:59"', '"2024-01-01"', '"2024-W01-1"', '"20240101T000000"',
    '"00000000-0000-0000-0000-000000000000"', '"{019a0000-0000-7000-8000-000000000000}"',
    "[" * 2_000,
)  # fmt: skip


def text(random: Random) -> str:
    """A hostile text: one of the known ones, a long one, or any characters."""
    match random.randrange(4):
        case 0:
            return random.choice("a\u00e9\u4e2d\U0001f339\u0301 ") * random.choice(SIZES)
        case 1:
            return "".join(_character(random) for _ in range(random.randrange(40)))
        case _:
            return random.choice(TEXTS)


def scalar(random: Random, field: FieldDescriptor) -> Any:
    """A hostile value that the type of a field can hold."""
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.randbytes(random.choice(SIZES))
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return text(random)
    if field.enum_type is not None:
        return random.choice((0, -1, 2**31 - 1, -(2**31), random.randrange(300)))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return random.random() < 0.5
    if kind in INTEGERS:
        least, most = INTEGERS[kind]
        return min(max(random.choice((*EDGES, least, most, least + 1, most - 1)), least), most)
    return random.choice(FLOATS)


def time(random: Random) -> Timestamp:
    """A hostile time."""
    return Timestamp(seconds=random.choice(SECONDS), nanos=random.choice(NANOS))


def _character(random: Random) -> str:
    code = random.randrange(0x110000)
    return chr(code) if not 0xD800 <= code < 0xE000 else "?"
