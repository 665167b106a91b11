"""Points in time, as messages hold them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp


@lru_cache(maxsize=64)  # the transactions of a batch share their time
def timestamp(time: datetime) -> Timestamp:
    """The time as a message, shared by all who ask: to be copied into theirs, never changed."""
    made = Timestamp()
    made.FromDatetime(time)
    return made
