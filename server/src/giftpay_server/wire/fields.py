"""The form of what callers send. Malformed input is refused here and is never decided."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime

from giftpay.v1 import Unit
from google.protobuf.timestamp_pb2 import Timestamp

ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
CONTEXT = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
COUNTRY = re.compile(r"[A-Z]{2}")
CURRENCY = re.compile(r"[A-Z]{3}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

OLDEST_BIRTH = date(1900, 1, 1)


class InvalidArgumentError(Exception):
    """A field that is malformed, and what it may be; `others` are malformed as well."""

    def __init__(
        self, field: str, limit: str, *, others: Sequence[InvalidArgumentError] = ()
    ) -> None:
        super().__init__(f"{field}: must be {limit}")
        self.field = field
        self.limit = limit
        self.others = others


def valid_id(value: str, field: str) -> str:
    """An id of ours or of the callers."""
    if ID.fullmatch(value) is None:
        raise InvalidArgumentError(field, "1..64 characters of A-Za-z0-9._:-")
    return value


def valid_context(value: str, field: str) -> str:
    """Where a gift is given."""
    if CONTEXT.fullmatch(value) is None:
        raise InvalidArgumentError(field, "1..64 characters of A-Za-z0-9._:/-")
    return value


def valid_uuid(value: str, field: str) -> str:
    """The id of a transaction, in canonical form."""
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        canonical = ""
    if not value or canonical != value:
        raise InvalidArgumentError(field, "a UUID of 36 characters, in lower case")
    return value


def valid_country(value: str, field: str) -> str:
    """ISO 3166-1 alpha-2 in form; whether it exists is the catalog's business."""
    if COUNTRY.fullmatch(value) is None:
        raise InvalidArgumentError(field, "two capital letters (ISO 3166-1)")
    return value


def valid_currency(value: str, field: str) -> str:
    """ISO 4217 in form; whether it is supported is the catalog's business."""
    if CURRENCY.fullmatch(value) is None:
        raise InvalidArgumentError(field, "three capital letters (ISO 4217)")
    return value


def valid_unit(value: Unit.ValueType, field: str) -> Unit.ValueType:
    """COIN or DIAMOND."""
    return Unit.ValueType(valid_choice(value, field, Unit))


def valid_choice(value: int, field: str, enum: object) -> int:
    """A value that the enum defines, and not its zero."""
    if value not in enum.values() or value == 0:  # type: ignore[attr-defined]
        names = ", ".join(enum.keys()[1:])  # type: ignore[attr-defined]
        raise InvalidArgumentError(field, f"one of {names}")
    return value


def valid_number(value: int, field: str, *, least: int, most: int) -> int:
    """A whole number within bounds, both included."""
    if not least <= value <= most:
        raise InvalidArgumentError(field, f"{least}..{most}")
    return value


def valid_text(value: str, field: str, *, least: int = 0, most: int) -> str:
    """Text that Postgres can store, bounded in characters."""
    if not least <= len(value) <= most or "\0" in value:
        raise InvalidArgumentError(field, f"{least}..{most} characters, none of them NUL")
    return value


def valid_line(value: str, field: str, *, least: int, most: int) -> str:
    """Text in one line that can be seen and copied, bounded in characters."""
    if not least <= len(value) <= most or not value.isprintable() or value != value.strip():
        raise InvalidArgumentError(
            field, f"{least}..{most} printable characters, with no space at either end"
        )
    return value


def valid_birth(value: str, field: str, *, today: date) -> date:
    """A date of birth, YYYY-MM-DD."""
    try:
        birth = date.fromisoformat(value) if DAY.fullmatch(value) else None
    except ValueError:
        birth = None
    if birth is None or not OLDEST_BIRTH <= birth <= today:
        raise InvalidArgumentError(field, f"YYYY-MM-DD from {OLDEST_BIRTH} to today")
    return birth


def valid_time(value: Timestamp, field: str) -> datetime:
    """A time that Timestamp and Postgres both can hold."""
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgumentError(field, "0001-01-01T00:00:00Z..9999-12-31T23:59:59Z") from error
