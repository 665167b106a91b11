"""Pages of a list: opaque tokens that refuse changed filters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

from giftpay.v1 import options_pb2
from google.protobuf.message import Message

from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.lane import PART, ReadLane

NUMBER_MAX = 2**63 - 1
NEWEST = datetime.max.replace(tzinfo=UTC), str(UUID(int=2**128 - 1))

Item = TypeVar("Item")
Place = TypeVar("Place")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a request asks for."""

    filters: str  # a digest of everything that the list depends on
    size: int
    position: list[Any] | None  # where the page before ended; None on the first

    def number(self, *, first: int) -> int:
        """The position in a numbered list; `first` is that of the first page."""
        match self.position:
            case None:
                return first
            case [int(number)] if 0 <= number <= NUMBER_MAX:
                return number
        raise _not_of_this_list()

    def text(self) -> str:
        """The position in a list ordered by text; empty on the first page."""
        match self.position:
            case None:
                return ""
            case [str(text)]:
                return text
        raise _not_of_this_list()

    def before_row(self) -> tuple[datetime, str]:
        """The position in a list by time and id, newest first: the page has the rows before it."""
        match self.position:
            case None:
                return NEWEST
            case [str(time), str(row_id)]:
                return _parsed(_utc, time), str(_parsed(UUID, row_id))
        raise _not_of_this_list()

    def next_token(self, place: object) -> str:
        """The token of the page that follows an item's place in the list."""
        values = [self.filters, *(place if isinstance(place, tuple) else (place,))]
        text = json.dumps(values, separators=(",", ":"), default=datetime.isoformat)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Item, Place]):
    """How the items of a list are read and shown.

    A place is where an item lies: a number, or a tuple of numbers, texts and times.
    """

    read: Callable[[Place, int], Awaitable[Sequence[Item]]]  # from a place on, so many at most
    place: Callable[[Item], Place]
    show: Callable[[Sequence[Item]], Message]  # as a part of the answer


async def read_page(
    lane: ReadLane, page: Page, listing: Listing[Item, Place], *, first: Place
) -> bytes:
    """The serialized answer with the page's items and the token of the next page.

    It is read and built in parts, so that a page of 1,000 blocks neither other reads nor the loop.
    """
    place, left, parts = first, page.size, []
    while True:
        size = min(left, PART)
        # One more than is shown, to know whether more follows.
        read = partial(listing.read, place, size + 1)
        found, part = await lane.part(read, listing.show, most=size)
        parts.append(part)
        left -= size
        if len(found) <= size:
            return b"".join(parts)
        place = listing.place(found[size - 1])
        if not left:
            return b"".join(parts) + _with_token(listing, page.next_token(place))


def _with_token(listing: Listing[Any, Any], token: str) -> bytes:
    answer: Any = listing.show([])
    answer.next_page_token = token
    return bytes(answer.SerializeToString())


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
