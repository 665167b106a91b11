"""Reads and writes a catalog as a TOML file, with the field names of `giftpay.v1.Catalog`.

    default_currency_code = "EUR"
    diamonds_per_coin = "1/1"               # a rate is a text

    [currency_by_country]
    DE = "EUR"

    [[gifts]]
    gift_id = "rose"
    name = "Rose"
    coins = 1

    [[packages]]
    package_id = "eur-70"
    price = "EUR 0.99"                      # with exactly the decimals of the currency
    coins = 70

    [[promotions]]
    promotion_id = "winter"
    bonus_per_coin = "1/20"
    start_time = 2026-12-01T00:00:00Z       # with its offset
    end_time = 2027-01-01T00:00:00Z

    [[payout_rates]]
    currency_code = "EUR"
    minor_units_per_diamond = "1/2"
    fee_minor_units = 25
    minimum_diamonds = 2000

Here only the form is checked; the server checks the values (ranges, ids, dates).
It has at most 4 MiB of UTF-8, with or without a byte order mark.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from giftpay.money import format_money, parse_money
from giftpay.toml_bounds import BYTES_MAX, check_bounds, place
from giftpay.v1 import Catalog, Money, Rational

T = TypeVar("T")

EXCERPT_MAX = 160  # characters of the file in an error message
OUTPUT_ONLY = {"version", "create_time", "bonus_coins"}
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
RATE = re.compile(r"([0-9]{1,18})/([0-9]{1,18})", re.ASCII)


class CatalogFileError(ValueError):
    """A catalog file is malformed; the message names the place and the cause."""


def load_catalog(path: str | Path) -> Catalog:
    """The catalog in a file; raises CatalogFileError, naming the place, if it is malformed."""
    try:
        with Path(path).open("rb") as file:
            return parse_catalog(_decoded(file.read(BYTES_MAX + 1)))
    except (CatalogFileError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CatalogFileError(f"{path}: {reason}") from None


def parse_catalog(text: str) -> Catalog:
    """The catalog in a text; raises CatalogFileError if it is malformed."""
    try:
        check_bounds(text)
        table = tomllib.loads(text)
    except ValueError as error:
        raise CatalogFileError(_shortened(str(error))) from None
    catalog = Catalog()
    _fill(catalog, table, "")
    return catalog


def format_catalog(catalog: Catalog) -> str:
    """The text that `parse_catalog` reads as this catalog, without the output-only fields."""
    return "\n".join(_lines(catalog)) + "\n"


def _decoded(data: bytes) -> str:
    if len(data) > BYTES_MAX:
        raise CatalogFileError(f"It has more than {BYTES_MAX // 2**20} MiB.")
    try:
        return data.decode("utf-8-sig")  # Windows' editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        raise CatalogFileError(f"It is not UTF-8 {place(before, len(before))}") from None


def _fill(message: Message, table: Mapping[str, Any], path: str) -> None:
    """Set the message's fields from a table of the file."""
    for name, value in table.items():
        where = f"{path}.{_key(name)}" if path else _key(name)
        try:
            _set(message, _field(message, name), value, where)
        except CatalogFileError:
            raise
        except ValueError as error:
            raise CatalogFileError(f"{_shortened(where)}: {_shortened(str(error))}") from None


def _field(message: Message, name: str) -> FieldDescriptor:
    fields = message.DESCRIPTOR.fields_by_name
    if name in OUTPUT_ONLY:
        raise ValueError("is filled in by the server")
    if name not in fields:
        near = get_close_matches(name, fields, n=1)
        raise ValueError(f"there is no such field{f'; there is {near[0]}' if near else ''}")
    field: FieldDescriptor = fields[name]
    return field


def _set(message: Message, field: FieldDescriptor, value: object, where: str) -> None:
    target = getattr(message, field.name)
    if _is_map(field):
        target.update({name: _as(str, each) for name, each in _as(dict, value).items()})
    elif field.is_repeated and field.message_type:
        for number, table in enumerate(_as(list, value)):
            _fill(target.add(), *_item(table, f"{where}[{number}]"))
    elif field.is_repeated:
        target.extend(_as(str, each) for each in _as(list, value))
    elif field.message_type:
        target.CopyFrom(VALUES[field.message_type.name](value))
    else:
        setattr(message, field.name, _as(type(target), value))


def _item(table: object, path: str) -> tuple[dict[str, Any], str]:
    """An item of a list, which is a table, and its path with its id, if it has one."""
    try:
        fields = _as(dict, table)
    except ValueError as error:
        raise CatalogFileError(f"{path}: {error}") from None
    named = next((value for name, value in fields.items() if name.endswith("_id")), None)
    return fields, f"{path} ({_shortened(str(named))})" if named else path


def _as(kind: type[T], value: object) -> T:
    if type(value) is not kind:  # a bool is not a whole number
        raise ValueError(f"must be {KINDS[kind]}, not {json.dumps(value, default=str)}")
    return value


def _rational(value: object) -> Rational:
    rate = RATE.fullmatch(_as(str, value))
    if rate is None:
        raise ValueError(f'must be a rate such as "1/2", not {json.dumps(value)}')
    return Rational(numerator=int(rate[1]), denominator=int(rate[2]))


def _timestamp(value: object) -> Timestamp:
    time = _as(datetime, value)
    if time.tzinfo is None:
        raise ValueError(f"must have an offset, such as the Z in {time.isoformat()}Z")
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(time)
    except (ValueError, OverflowError):
        raise ValueError(f"must be in the years 1 to 9999 in UTC, not {time.isoformat()}") from None
    return timestamp


KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    datetime: "a time such as 2026-12-01T00:00:00Z",
    list: "a list",
    dict: "a table",
}
VALUES: Mapping[str, Callable[[object], Message]] = {
    "Money": lambda value: parse_money(_as(str, value)),
    "Rational": _rational,
    "Timestamp": _timestamp,
}


def _lines(message: Message) -> Iterator[str]:
    """The message's fields; single values first: what follows a table's head belongs to it."""
    tables = []
    for field, value in message.ListFields():
        if field.is_repeated and field.message_type:
            tables.append((field, value))
        elif field.name not in OUTPUT_ONLY:
            yield f"{field.name} = {_text(value)}"
    for field, value in tables:
        if _is_map(field):
            yield from ("", f"[{field.name}]")
            yield from (f"{_key(name)} = {_text(value[name])}" for name in sorted(value))
        else:
            for each in value:
                yield from ("", f"[[{field.name}]]", *_lines(each))


def _text(value: object) -> str:
    match value:
        case Money():
            return _text(format_money(value))
        case Rational():
            return _text(f"{value.numerator}/{value.denominator}")
        case Timestamp():
            return value.ToJsonString()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool() | int():
            return json.dumps(value)
    return f"[{', '.join(map(_text, cast(Iterable[object], value)))}]"


def _shortened(text: str) -> str:
    """The text, or its beginning and end if it is long: an error's cause and its place."""
    return (
        text
        if len(text) <= EXCERPT_MAX
        else f"{text[: EXCERPT_MAX // 2]}...{text[-EXCERPT_MAX // 2 :]}"
    )


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
