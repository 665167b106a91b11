"""Pages of a list: opaque tokens that refuse changed filters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from giftpay_server.wire.fields import InvalidArgumentError

SIZE_DEFAULT = 50
SIZE_MAX = 1_000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    filters: str  # a digest of everything that the list depends on
    size: int
    position: list[Any] | None  # where the page before ended; None on the first

    def cut(self, found: Sequence[Item]) -> tuple[Sequence[Item], bool]:
        """What of the found belongs on the page, and whether more follows; ask for size + 1."""
        return found[: self.size], len(found) > self.size

    def next_token(self, position: Sequence[Any]) -> str:
        """Names the page after this one; the position is of its last item, JSON values."""
        text = json.dumps([self.filters, *position], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def open_page(size: int, token: str, *filters: object) -> Page:
    """Reads page_size and page_token; raises InvalidArgumentError for a token of another list."""
    if size < 0:
        raise InvalidArgumentError("page_size", f"0..{SIZE_MAX}")
    digest = hashlib.sha256(repr(filters).encode()).hexdigest()[:12]
    position = _position(token, digest) if token else None
    return Page(digest, min(size or SIZE_DEFAULT, SIZE_MAX), position)


def _position(token: str, digest: str) -> list[Any]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        filters, *position = json.loads(text)
    except (binascii.Error, ValueError, TypeError):
        filters, position = None, []
    if filters != digest or not position:
        raise InvalidArgumentError("page_token", "the next_page_token of this same list")
    return list(position)
