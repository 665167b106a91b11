"""Parses and validates JSON objects of requests, field by field."""

import json
import re
from collections.abc import Collection
from typing import Any

TEXT_LENGTH_MAX = 256  # characters of a reference, key, destination or reason
MINOR_UNITS_MAX = 2**63 - 1  # the largest integer that SQLite stores

CURRENCY = re.compile(r"[A-Z]{3}")


class Malformed(Exception):
    """The request is malformed; `field` names the field at fault, if there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Fields:
    """The fields of one JSON object; reading an absent or malformed one raises Malformed."""

    def __init__(self, value: Any, *, known: Collection[str], field: str | None = None) -> None:
        if not isinstance(value, dict):
            raise Malformed("An object is expected.", field)
        for name in value:
            if name not in known:
                # If a misspelt field were ignored, a test with it would prove nothing.
                raise Malformed("There is no such field.", name)
        self._values = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, *, default: str | None = None) -> str:
        """1 to 256 printable characters."""
        if name not in self._values and default is not None:
            return default
        return text(self._values.get(name), name)

    def whole(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`, both included."""
        value = self._values.get(name, default)
        # bool is a subclass of int, but `true` is not a number in JSON.
        if type(value) is not int or not low <= value <= high:
            raise Malformed(f"A whole number from {low} to {high} is expected.", name)
        return value

    def currency(self, name: str) -> str:
        """Three capital letters, as in ISO 4217."""
        value = self._values.get(name)
        if not isinstance(value, str) or CURRENCY.fullmatch(value) is None:
            raise Malformed("Three capital letters are expected.", name)
        return value

    def choice(self, name: str, options: Collection[str], *, default: str | None = None) -> str:
        """One of `options`."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or value not in options:
            raise Malformed(f"One of {', '.join(options)} is expected.", name)
        return value

    def object(self, name: str, *, known: Collection[str]) -> "Fields":
        """A nested object; an absent one is empty."""
        return Fields(self._values.get(name, {}), known=known, field=name)

    def items(self, name: str, *, count_max: int) -> list[Any]:
        """A list of 1 to `count_max` values."""
        value = self._values.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= count_max:
            raise Malformed(f"A list of 1 to {count_max} items is expected.", name)
        return value


def text(value: Any, field: str) -> str:
    """The value, if it is 1 to 256 printable characters."""
    # isprintable() is false for control characters and lone surrogates, which SQLite cannot store.
    if isinstance(value, str) and 1 <= len(value) <= TEXT_LENGTH_MAX and value.isprintable():
        return value
    raise Malformed(f"1 to {TEXT_LENGTH_MAX} printable characters are expected.", field)


def parsed(body: bytes) -> Any:
    """The JSON value of a request's body."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested too deep
        raise Malformed("The body is not JSON.") from error
