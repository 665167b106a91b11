"""From a caller's idempotency key to the id of the transaction that it names."""

from __future__ import annotations

import hashlib
import re
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-79a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_NIL = "00000000-0000-0000-0000-000000000000"


def transaction_id(key: str, *, caller: str) -> str:
    """The key itself where it is a canonical UUID, and global; otherwise the caller's own UUIDv8.

    Nil and version 8 are not taken as they are: no caller can name what another's text became.
    """
    if _UUID.fullmatch(key) and key != _NIL:
        return key
    return _version_8(f"{caller}\0{key}".encode())


def step_id(subject_id: str, step: str) -> str:
    """The key of a command of the server's own: one step of an order or a redemption."""
    return _version_8(f"\0{subject_id}\0{step}".encode())


def _version_8(name: bytes) -> str:
    # RFC 9562, section 5.8: the version and the variant stand in fixed places, the rest is ours.
    digest = bytearray(hashlib.sha256(name).digest()[:16])
    digest[6] = 0x80 | digest[6] & 0x0F
    digest[8] = 0x80 | digest[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(digest)))
