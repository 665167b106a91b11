"""Converts times and enum names between messages and Python."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp


@lru_cache(maxsize=64)  # the transactions of a batch share their time
def timestamp(time: datetime) -> Timestamp:
    """The time as a message; shared, so it must be copied and never changed."""
    made = Timestamp()
    made.FromDatetime(time)
    return made


def time_of(timestamp: Timestamp) -> datetime:
    """The time of a message; raises ValueError if it is out of the range of a datetime."""
    return timestamp.ToDatetime(tzinfo=UTC)


class GeneratedEnum(Protocol):
    """A generated enum's type."""

    def Name(self, number: Any) -> str: ...


def short_name(enum: GeneratedEnum, value: int) -> str:
    """The name without the enum's prefix: GIFT_SALES of SYSTEM_ACCOUNT_GIFT_SALES."""
    return enum.Name(value).removeprefix(enum.Name(0).removesuffix("UNSPECIFIED"))
