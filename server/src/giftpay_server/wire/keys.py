"""Maps a caller's idempotency key to the id of its transaction."""

from __future__ import annotations

import hashlib
import re
import uuid
from unicodedata import normalize

# A UUID that is an id as it is: in its canonical spelling, not nil, not of version 8.
_ID = re.compile(r"(?![0-]+$)[0-9a-f]{8}-[0-9a-f]{4}-[0-79a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
# What programs write for a UUID: with its dashes or without, in brackets, as a URN.
_DIGITS = "([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_UUID = re.compile(
    rf"(?:urn:uuid:)?(?:{_DIGITS}|\{{{_DIGITS}\}}|\({_DIGITS}\))", re.ASCII | re.IGNORECASE
)


def transaction_id(key: str, *, caller: str) -> str:
    """The key itself where it is a UUID, and global; otherwise the caller's own UUIDv8.

    A key in another spelling is the same key. Nil and version 8 are not taken as they are: no
    caller can name what another's text became.
    """
    if _ID.fullmatch(key):
        return key
    spelled = _canonical(key)
    return spelled if _ID.fullmatch(spelled) else _version_8(f"{caller}\0{spelled}".encode())


def _canonical(key: str) -> str:
    """The spelling that counts: of a UUID in lower case with dashes, of any other text in NFC."""
    found = _UUID.fullmatch(key)
    if found is None:
        return normalize("NFC", key)
    return str(uuid.UUID(found[found.lastindex or 0]))


def step_id(subject_id: str, step: str) -> str:
    """The key of one of the server's own commands: a step of an order or a redemption."""
    return _version_8(f"\0{subject_id}\0{step}".encode())


def _version_8(name: bytes) -> str:
    # RFC 9562, section 5.8: version and variant have fixed bits, the rest is custom.
    digest = bytearray(hashlib.sha256(name).digest()[:16])
    digest[6] = 0x80 | digest[6] & 0x0F
    digest[8] = 0x80 | digest[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(digest)))
