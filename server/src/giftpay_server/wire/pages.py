"""Pages of a list: opaque tokens that refuse changed filters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from giftpay.v1 import options_pb2
from google.protobuf.message import Message

from giftpay_server.wire.fields import InvalidArgumentError

NUMBER_MAX = 2**63 - 1
NEWEST = datetime.max.replace(tzinfo=UTC), str(UUID(int=2**128 - 1))

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    filters: str  # a digest of everything that the list depends on
    size: int
    position: list[Any] | None  # where the page before ended; None on the first

    @property
    def limit(self) -> int:
        """How many items to look for: one more than the page has, to know whether more follows."""
        return self.size + 1

    def cut(
        self, found: Sequence[Item], place: Callable[[Item], Sequence[Any]]
    ) -> tuple[Sequence[Item], str]:
        """What of the found belongs on the page, and the token of the next one; empty on the last.

        `place` is where an item lies in the list: what the page after it goes on from, as numbers,
        texts and times.
        """
        shown = found[: self.size]
        return shown, self._token(place(shown[-1])) if len(found) > self.size else ""

    def number(self, *, first: int) -> int:
        """Where to go on in a numbered list; `first` says where the first page begins."""
        match self.position:
            case None:
                return first
            case [int(number)] if 0 <= number <= NUMBER_MAX:
                return number
        raise _not_of_this_list()

    def before_row(self) -> tuple[datetime, str]:
        """Where to go on in a list from the newest row, by time and then by id: before this."""
        match self.position:
            case None:
                return NEWEST
            case [str(time), str(row_id)]:
                return _parsed(_utc, time), str(_parsed(UUID, row_id))
        raise _not_of_this_list()

    def _token(self, place: Sequence[Any]) -> str:
        values = [self.filters, *place]
        text = json.dumps(values, separators=(",", ":"), default=datetime.isoformat)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def open_page(request: Any, *filters: object) -> Page:
    """The page that a request asks for, by its `page_size` and `page_token`.

    Raises InvalidArgumentError for a token of another list: one of which another field of the
    request, or one of the filters, was different.
    """
    bounds = request.DESCRIPTOR.fields_by_name["page_size"].GetOptions()
    page = bounds.Extensions[options_pb2.page]
    digest = _digest(request, filters)
    position = _position(request.page_token, digest) if request.page_token else None
    return Page(digest, min(request.page_size or page.usual, page.most), position)


def _digest(request: Message, filters: Sequence[object]) -> str:
    filtered = type(request)()
    filtered.CopyFrom(request)
    filtered.ClearField("page_size")
    filtered.ClearField("page_token")
    said = (filtered.DESCRIPTOR.full_name, filtered.SerializeToString(deterministic=True), filters)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


def _position(token: str, digest: str) -> list[Any]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        filters, *position = json.loads(text)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        filters, position = None, []
    if filters != digest or not position:
        raise _not_of_this_list()
    return list(position)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _parsed(parse: Callable[[str], Value], text: str) -> Value:
    try:
        return parse(text)
    except (ValueError, OverflowError):
        raise _not_of_this_list() from None


def _not_of_this_list() -> InvalidArgumentError:
    return InvalidArgumentError("page_token", "the next_page_token of this same list")
