"""Limits that the client checks before it sends: message sizes, times, metadata."""

import re
from collections.abc import Iterable
from numbers import Real

REQUEST_MAX_BYTES = 4 << 20
"""The largest message that the server accepts: gRPC's default."""
ANSWER_MAX_BYTES = 16 << 20
"""More than any answer to a request of that size, which repeats its texts and adds fields."""
TIMEOUT_MAX_S = 86_400.0 * 366
"""A time that gRPC's clock can represent for certain."""

Metadata = tuple[tuple[str, str | bytes], ...]
MetadataLike = Iterable[tuple[str, str | bytes]]

KEY = re.compile(r"[a-z0-9_.-]+")
VALUE = re.compile(r"[\x20-\x7e]*")


def checked_seconds(name: str, seconds: float, *, zero: bool = False) -> float:
    """The time; raises ValueError unless it is finite and above 0, or 0 if `zero` allows it."""
    if not isinstance(seconds, Real) or isinstance(seconds, bool):
        raise TypeError(f"{name} must be a number of seconds, not {seconds!r}.")
    if 0 < seconds <= TIMEOUT_MAX_S or (zero and seconds == 0):
        return float(seconds)
    bound = "from 0" if zero else "above 0"
    raise ValueError(f"{name} must be a finite number of seconds {bound}, not {seconds!r}.")


def checked_count(name: str, count: int, most: int) -> int:
    """The number as it was given; TypeError or ValueError unless it is 1 to `most`."""
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"{name} must be a whole number, not {count!r}.")
    if not 1 <= count <= most:
        raise ValueError(f"{name} must be 1 to {most}, not {count}.")
    return count


def checked_metadata(metadata: MetadataLike) -> Metadata:
    """The pairs as they are sent; raises TypeError or ValueError with the key of a wrong one."""
    return tuple([_pair(pair) for pair in metadata])


def _pair(pair: tuple[str, str | bytes]) -> tuple[str, str | bytes]:
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError(f"Metadata are pairs of a key and a value, not {type(pair).__name__}.")
    key, value = pair
    if not isinstance(key, str):
        raise TypeError(f"A key of metadata is a text, not {key!r}.")
    if not KEY.fullmatch(key) or key.startswith("grpc-"):
        raise ValueError(f"The metadata {key!r}: a key has a-z, 0-9, _ . - and not grpc- first.")
    # The value may be a secret, so no error message repeats it.
    wanted: type = bytes if key.endswith("-bin") else str
    if not isinstance(value, wanted):
        kind = type(value).__name__
        raise TypeError(f"The metadata {key!r} must be {wanted.__name__}, not {kind}.")
    if isinstance(value, str) and not VALUE.fullmatch(value):
        raise ValueError(f"The metadata {key!r} must be printable ASCII, or bytes as ...-bin.")
    return key, value
