"""Converts the fields of any message to names and cells, by its descriptor."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from giftpay.money import format_money
from giftpay.v1 import EntryRef, Rational, Unit

Cell = str | int

RENAMED = {
    "create_time": "created",
    "last_seq": "entries",
    "metadata": "figures",
    "pay_time": "paid",
    "seq": "entry",
    "update_time": "updated",
    "watermark": "seen until",
}
SHOWN_IF_FALSE = {"giftpay.v1.VerifyLedgerResponse.clean"}


def cells(message: Message) -> dict[str, Cell]:
    """All fields but lists of messages, nested messages included; empty without a value."""
    own = {label(field) for field in message.DESCRIPTOR.fields if not is_nested(field)}
    shown = inner(message)
    found: dict[str, Cell] = {}
    for field in message.DESCRIPTOR.fields:
        if field in shown:
            for name, cell in _inner(message, field):
                found[f"{label(field)} {name}" if name in own or name in found else name] = cell
        elif not is_nested(field) and not is_list(field):
            found[label(field)] = _value(message, field)
    return found


def _inner(message: Message, field: FieldDescriptor) -> Iterator[tuple[str, Cell]]:
    choice = field.containing_oneof
    if choice and not choice.name.startswith("_"):  # as that of an optional field is named
        yield choice.name, label(field)
    yield from cells(getattr(message, field.name)).items()


def is_list(field: FieldDescriptor) -> bool:
    """Whether the field is a list of messages."""
    return field.is_repeated and field.message_type is not None and not _is_map(field)


def is_nested(field: FieldDescriptor) -> bool:
    """Whether the field is a message that is shown by its fields."""
    kind = field.message_type
    return kind is not None and not field.is_repeated and kind.full_name not in WRITTEN


def siblings(message: Message) -> list[list[FieldDescriptor]]:
    """Nested messages of the same type, such as a wallet's two balances; each group is a table."""
    by_type: dict[str, list[FieldDescriptor]] = {}
    for field in filter(is_nested, message.DESCRIPTOR.fields):
        by_type.setdefault(field.message_type.full_name, []).append(field)
    return [fields for fields in by_type.values() if len(fields) > 1]


def inner(message: Message) -> list[FieldDescriptor]:
    """The nested messages that are set and are not shown as a table."""
    apart = [field for fields in siblings(message) for field in fields]
    nested = filter(is_nested, message.DESCRIPTOR.fields)
    return [field for field in nested if message.HasField(field.name) and field not in apart]


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def label(field: FieldDescriptor) -> str:
    """The displayed name of a field: `owner` for owner_id."""
    return RENAMED.get(field.name) or re.sub("_(id|code)$", "", field.name).replace("_", " ")


def _value(message: Message, field: FieldDescriptor) -> Cell:
    value = getattr(message, field.name)
    if _is_map(field):
        return " ".join(f"{name}={value[name]}" for name in sorted(value))
    if field.is_repeated:
        return ", ".join(str(_written(field, each)) for each in value)
    if field.has_presence:
        return _written(field, value) if message.HasField(field.name) else ""
    return _written(field, value)


def _written(field: FieldDescriptor, value: Any) -> Cell:
    if field.message_type:
        return WRITTEN[field.message_type.full_name](value)
    if field.enum_type:
        return enum_name(field.enum_type, value) if value else ""
    if isinstance(value, bool):
        no = "no" if field.has_presence or field.full_name in SHOWN_IF_FALSE else ""
        return "yes" if value else no
    return value if isinstance(value, int) else str(value)


def enum_name(enum: EnumDescriptor, value: int) -> str:
    """A value's name without that of its enum: `frozen` for WALLET_STATUS_FROZEN."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    known = enum.values_by_number.get(value)
    return known.name.removeprefix(prefix).lower().replace("_", " ") if known else str(value)


def moment(time: Timestamp) -> str:
    """A point in time to the second, in UTC."""
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S") if time.ByteSize() else ""


def _rate(rate: Rational) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _entry(ref: EntryRef) -> str:
    return f"{ref.owner_id}, {enum_name(Unit.DESCRIPTOR, ref.unit)} entry {ref.seq}"


WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "google.protobuf.Timestamp": moment,
    "giftpay.v1.EntryRef": _entry,
    "giftpay.v1.Money": format_money,
    "giftpay.v1.Rational": _rate,
}
