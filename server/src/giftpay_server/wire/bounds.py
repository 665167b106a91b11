"""Validates requests by the options of their fields, compiled once for each message type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from giftpay.v1 import Money, options_pb2
from giftpay.v1.options_pb2 import FORM_KEY, Bounds, Form
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    OneofDescriptor,
)
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.text import is_line

BOUNDS, PAGE, REQUIRED = options_pb2.bounds, options_pb2.page, options_pb2.required
NUMBERS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
PREVIEW = "validate_only"  # the field of a request that may be a preview
TIMES = "0001-01-01T00:00:00Z..9999-12-31T23:59:59Z"  # what Timestamp and Postgres both can hold

Malformed = Iterable[InvalidArgumentError]
Inspect = Callable[[Any, str], Malformed]  # of a message, and of the path to it with its dot
Test = Callable[[Any], object]


def validate(request: Message) -> None:
    """Raises InvalidArgumentError for the first malformed field of a request."""
    checks = _checks(request.DESCRIPTOR)
    if not checks.is_sound(request):
        for malformed in _inspected(checks, request, ""):
            raise malformed


def prepare(kind: Descriptor) -> None:
    """Compiles the checks of a message type; raises TypeError for options without effect."""
    _checks(kind)


def violations(message: Message, prefix: str = "") -> Malformed:
    """Every malformed field of a message; the prefix leads to it, such as "catalog."."""
    checks = _checks(message.DESCRIPTOR)
    return () if checks.is_sound(message) else _inspected(checks, message, prefix)


def text_violations(text: str, form: Form.ValueType, path: str) -> Malformed:
    """Whether a text that no option can describe, such as the key of a map, has a form."""
    rule = _text(Bounds(form=form))
    if not rule.test(text):
        yield InvalidArgumentError(path, rule.limit)


class _Rule(NamedTuple):
    """Which values a field may have."""

    limit: str  # shown to the caller
    test: Test = bool
    source: str = "{test}({value})"  # a template of the expression that makes the test


class _Check(NamedTuple):
    """One field: an expression that is true if it is well-formed, and a finder of what is not."""

    source: str  # over `message` and these names
    names: Mapping[str, Any]
    inspect: Inspect


class _Checks(NamedTuple):
    """A message type: a predicate for well-formed messages, and finders of what is malformed."""

    is_sound: Callable[[Message], object]
    inspections: Sequence[Inspect]


def _inspected(checks: _Checks, message: Message, prefix: str) -> Malformed:
    for inspect in checks.inspections:
        yield from inspect(message, prefix)


@cache
def _checks(kind: Descriptor) -> _Checks:
    fields = [check for field in kind.fields for check in _field(field)]
    oneofs = [_oneof(each) for each in kind.oneofs if each.GetOptions().Extensions[REQUIRED]]
    return _together([*fields, *oneofs])


def _together(checks: Sequence[_Check]) -> _Checks:
    # One expression, as one would write it by hand: a loop over its parts takes twice as long.
    source = " and ".join(check.source for check in checks)
    names = {name: value for check in checks for name, value in check.names.items()}
    return _Checks(_predicate(source or "True", names), [check.inspect for check in checks])


def _predicate(source: str, names: Mapping[str, Any]) -> Callable[[Message], object]:
    predicate: Callable[[Message], object] = eval(f"lambda message: {source}", dict(names))
    return predicate


def _field(field: FieldDescriptor) -> Iterator[_Check]:
    options = field.GetOptions()
    bounds = options.Extensions[BOUNDS]
    if options.HasExtension(PAGE):
        yield _scalar(field, bounds, _page(options.Extensions[PAGE]))
    elif not options.HasExtension(BOUNDS):
        return
    elif field.is_repeated and (field.message_type is not None or bounds.checked_apart):
        yield _list(field, bounds)
    elif field.message_type == Timestamp.DESCRIPTOR:
        yield from _time(field, bounds)
    elif field.is_repeated:
        raise TypeError(f"{field.full_name}: no bounds are known for its type")
    elif bounds.checked_apart:
        return
    elif field.message_type is None:
        yield _scalar(field, bounds, _rule(field, bounds))
    else:
        yield _message(field, bounds)


def _rule(field: FieldDescriptor, bounds: Bounds) -> _Rule:
    if field.enum_type is not None:
        return _choice(field.enum_type)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(bounds)
    if field.cpp_type not in NUMBERS:
        raise TypeError(f"{field.full_name}: no bounds are known for its type")
    return _number(bounds)


def _scalar(field: FieldDescriptor, bounds: Bounds, rule: _Rule) -> _Check:
    test = f"allows_{field.name}"
    allowed = rule.source.format(test=test, value=f"message.{field.name}")
    return _leaf(field.name, _unless_unset(allowed, field, bounds), rule.limit, {test: rule.test})


def _leaf(name: str, source: str, limit: str, names: Mapping[str, Any]) -> _Check:
    is_sound = _predicate(source, names)

    def inspect(message: Message, prefix: str) -> Malformed:
        if not is_sound(message):
            yield InvalidArgumentError(f"{prefix}{name}", limit)

    return _Check(source, names, inspect)


def _unless_unset(allowed: str, field: FieldDescriptor, bounds: Bounds) -> str:
    if field.has_presence:
        return f"(not message.HasField({field.name!r}) or {allowed})"
    if bounds.optional:
        return f"(not message.{field.name} or {allowed})"
    if bounds.form == FORM_KEY and PREVIEW in field.containing_type.fields_by_name:
        return f"(message.{PREVIEW} or {allowed})"
    return allowed


def _text(bounds: Bounds) -> _Rule:
    form = Form.DESCRIPTOR.values_by_number[bounds.form]
    pattern = form.GetOptions().Extensions[options_pb2.pattern]
    least, most = max(bounds.least, 1), bounds.most or pattern.most
    limit = pattern.limit.format(least=least, most=most)
    if pattern.printable:
        return _Rule(limit, partial(_is_line_within, least, most))
    return _Rule(limit, re.compile(pattern.regex).fullmatch)


def _is_line_within(least: int, most: int, text: str) -> bool:
    return least <= len(text) <= most and is_line(text)


def _number(bounds: Bounds) -> _Rule:
    least, most = bounds.least, bounds.most
    limit, within = f"{least}..{most}", f"{least} <= {{value}} <= {most}"
    if bounds.nonzero:
        return _Rule(f"{limit} and not 0", source=f"({within} and {{value}})")
    return _Rule(limit, source=within)


def _page(page: options_pb2.Page) -> _Rule:
    return _Rule(f"0..{page.most}", source="{value} >= 0")


def _choice(enum: EnumDescriptor) -> _Rule:
    values = {value.number: value.name for value in enum.values if value.number}
    return _Rule(f"one of {', '.join(values.values())}", values.__contains__)


def _time(field: FieldDescriptor, bounds: Bounds) -> Iterator[_Check]:
    if not bounds.optional:
        yield _leaf(field.name, f"message.HasField({field.name!r})", "set", {})
    yield _scalar(field, bounds, _Rule(TIMES, _is_time))


def _is_time(time: Timestamp) -> bool:
    try:
        time.ToDatetime()
    except (ValueError, OverflowError):
        return False
    return True


def _oneof(oneof: OneofDescriptor) -> _Check:
    limit = f"one of {', '.join(field.name for field in oneof.fields)}"
    return _leaf(oneof.name, f"message.WhichOneof({oneof.name!r})", limit, {})


def _list(field: FieldDescriptor, bounds: Bounds) -> _Check:
    name, least, most = field.name, bounds.least, bounds.most
    limit = f"{least}..{most} items" if least else f"at most {most}"

    def inspect(message: Message, prefix: str) -> Malformed:
        items = getattr(message, name)
        if (least or most) and not least <= len(items) <= most:
            yield InvalidArgumentError(f"{prefix}{name}", limit)
        for number, item in enumerate(() if bounds.checked_apart else items):
            yield from violations(item, f"{prefix}{name}[{number}].")

    return _Check("False", {}, inspect)


def _message(field: FieldDescriptor, bounds: Bounds) -> _Check:
    name, checks = field.name, _inside(field.message_type, bounds)

    def inspect(message: Message, prefix: str) -> Malformed:
        if not bounds.optional or message.HasField(name):
            yield from _inspected(checks, getattr(message, name), f"{prefix}{name}.")

    return _Check(f"not message.HasField({name!r})" if bounds.optional else "False", {}, inspect)


def _inside(kind: Descriptor, bounds: Bounds) -> _Checks:
    if kind != Money.DESCRIPTOR or not bounds.most:
        return _checks(kind)
    currency, amount = kind.fields
    return _together([*_field(currency), _scalar(amount, Bounds(), _number(bounds))])
