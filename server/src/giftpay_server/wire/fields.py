"""The error of malformed fields, and the form of dates of birth, which needs the clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

OLDEST_BIRTH = date(1900, 1, 1)


class InvalidArgumentError(Exception):
    """A field is malformed; `limit` describes what is allowed. `others` are malformed as well."""

    def __init__(
        self, field: str, limit: str, *, others: Sequence[InvalidArgumentError] = ()
    ) -> None:
        super().__init__(f"{field}: must be {limit}")
        self.field = field
        self.limit = limit
        self.others = others


def valid_birth(value: str, field: str, *, today: date) -> date:
    """A date of birth, YYYY-MM-DD."""
    try:
        birth = date.fromisoformat(value) if DAY.fullmatch(value) else None
    except ValueError:
        birth = None
    if birth is None or not OLDEST_BIRTH <= birth <= today:
        raise InvalidArgumentError(field, f"YYYY-MM-DD from {OLDEST_BIRTH} to today")
    return birth
