"""Rows as arrays, one a column: for statements that unnest or aggregate them.

The columns of a table are declared once. The text of a statement and the order of its parameters
are both derived from that, so that two columns of the same type cannot be swapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")
N = TypeVar("N", bound=NamedTuple)


class Columns:
    """Columns of a table with their types, such as `owner_id text, seq bigint`.

    Each value is the attribute of a row with the column's name, or with the name given for it.
    """

    def __init__(self, declared: str, **attributes: str) -> None:
        self._types: Mapping[str, str] = dict(each.split() for each in declared.split(","))
        sources = [attributes.get(name, name) for name in self._types]
        self._getters = [attrgetter(source) for source in sources]
        self._texts = [
            (source, bool(_sent_as(kind)))
            for source, kind in zip(sources, self._types.values(), strict=True)
        ]
        self.names = ", ".join(self._types)

    def parameters(self) -> str:
        """The parameters for `arrays`, from $1: `$1::text[], $2::bigint[]`."""
        return ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(self._types.values(), 1))

    def text_parameters(self, *, first: int) -> str:
        """The parameters for `texts`: `$7::text::text[], $8::text::bigint[]`."""
        numbered = enumerate(self._types.values(), first)
        return ", ".join(f"${n}::{_sent_as(kind)}{kind}[]" for n, kind in numbered)

    def __len__(self) -> int:
        return len(self._types)

    def arrays(self, rows: Sequence[object]) -> list[list[Any]]:
        """The rows as arrays, one a column."""
        return [list(map(getter, rows)) for getter in self._getters]

    def texts(self, values: Mapping[str, Sequence[Any]]) -> list[Any]:
        """These values, given by attribute, as arrays: numbers and text as text, without None."""
        return [
            text_array(values[attribute]) if as_text else values[attribute]
            for attribute, as_text in self._texts
        ]


def transposed(kind: type[N], rows: Sequence[N]) -> dict[str, Sequence[Any]]:
    """The values of rows by field."""
    columns = zip(*rows, strict=True) if rows else [()] * len(kind._fields)
    return dict(zip(kind._fields, columns, strict=True))


# Arrays of numbers and text are sent as text, `$1::text::bigint[]`. asyncpg tests each element of
# an array for being an array itself, which costs three times as much as formatting the array here
# and parsing it in Postgres.
def _sent_as(kind: str) -> str:
    return "" if kind == "bytea" else "text::"


def text_array(column: Sequence[Any]) -> str:
    """One column of whole numbers or of text as an array literal of Postgres."""
    if not column or not isinstance(column[0], str):
        return "{" + ",".join(map(str, column)) + "}"
    text = '","'.join(column)
    if "\\" in text or text.count('"') > 2 * (len(column) - 1):
        text = '","'.join(_escaped(item) for item in column)
    return '{"' + text + '"}'


def _escaped(item: str) -> str:
    return item.replace("\\", "\\\\").replace('"', '\\"')


def aggregated(kind: type[DataclassInstance]) -> str:
    """Selects the columns of this kind of row, each as one array, for `rows_of`."""
    return ", ".join(f"array_agg({name}) AS {column}" for name, column in _aggregates(kind))


def rows_of(kind: type[D], found: Any) -> Iterator[D]:
    """The rows that `aggregated` selected; array_agg of no rows is NULL."""
    return map(kind, *(found[column] or () for _, column in _aggregates(kind)))


@cache
def _aggregates(kind: type[DataclassInstance]) -> list[tuple[str, str]]:
    prefix = kind.__name__.lower()
    return [(field.name, f"{prefix}_{field.name}") for field in fields(kind)]
