"""Enum names and times, as rows and messages hold them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp


@lru_cache(maxsize=64)  # the transactions of a batch share their time
def timestamp(time: datetime) -> Timestamp:
    """The time as a message, shared by all who ask: to be copied into theirs, never changed."""
    made = Timestamp()
    made.FromDatetime(time)
    return made


def time_of(timestamp: Timestamp) -> datetime:
    """The time that a message says; raises ValueError for none that Postgres can hold."""
    return timestamp.ToDatetime(tzinfo=UTC)


class Enum(Protocol):
    """A generated enum."""

    def Name(self, number: Any) -> str: ...


def short_name(enum: Enum, value: int) -> str:
    """The name without what all of its enum share: GIFT_SALES of SYSTEM_ACCOUNT_GIFT_SALES."""
    return enum.Name(value).removeprefix(enum.Name(0).removesuffix("UNSPECIFIED"))
