"""Rows as columns: what a statement unnests or aggregates, each array under the name of its column.

Which columns there are is written once. What a statement says of them, and the order in which
arrays go to it, are made of that, so that no two of one type can change places.
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
    """Columns of a table with their types, `owner_id text, seq bigint`, and where values come from.

    Each is an attribute of the rows, of its own name unless another one is given.
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
        """What `arrays` become, from $1: `$1::text[], $2::bigint[]`."""
        return ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(self._types.values(), 1))

    def text_parameters(self, *, first: int) -> str:
        """What `texts` become: `$7::text::text[], $8::text::bigint[]`."""
        numbered = enumerate(self._types.values(), first)
        return ", ".join(f"${n}::{_sent_as(kind)}{kind}[]" for n, kind in numbered)

    def __len__(self) -> int:
        return len(self._types)

    def arrays(self, rows: Sequence[object]) -> list[list[Any]]:
        """The rows as arrays, one a column."""
        return [list(map(getter, rows)) for getter in self._getters]

    def texts(self, values: Mapping[str, Sequence[Any]]) -> list[Any]:
        """The arrays of these values by attribute, whole numbers and text as text; none is None."""
        return [
            text_array(values[attribute]) if as_text else values[attribute]
            for attribute, as_text in self._texts
        ]


def transposed(kind: type[N], rows: Sequence[N]) -> dict[str, Sequence[Any]]:
    """The values of rows by field."""
    columns = zip(*rows, strict=True) if rows else [()] * len(kind._fields)
    return dict(zip(kind._fields, columns, strict=True))


# Whole numbers and text go as text where that is cheaper: asyncpg asks of each element of an array
# whether it might be an array itself, which costs three times what writing the array as text here
# and reading it in Postgres does. The statement says `$1::text::bigint[]`.
def _sent_as(kind: str) -> str:
    return "" if kind == "bytea" else "text::"


def text_array(column: Sequence[Any]) -> str:
    """One column of whole numbers or of text, as Postgres reads an array."""
    if not column or not isinstance(column[0], str):
        return "{" + ",".join(map(str, column)) + "}"
    text = '","'.join(column)
    if "\\" in text or text.count('"') > 2 * (len(column) - 1):
        text = '","'.join(_escaped(item) for item in column)
    return '{"' + text + '"}'


def _escaped(item: str) -> str:
    return item.replace("\\", "\\\\").replace('"', '\\"')


def aggregated(kind: type[DataclassInstance]) -> str:
    """The columns of a table whose rows are of this kind, each as one array, for `rows_of`."""
    return ", ".join(f"array_agg({name}) AS {column}" for name, column in _aggregates(kind))


def rows_of(kind: type[D], found: Any) -> Iterator[D]:
    """The rows that `aggregated` found; none where there is not even an array."""
    return map(kind, *(found[column] or () for _, column in _aggregates(kind)))


@cache
def _aggregates(kind: type[DataclassInstance]) -> list[tuple[str, str]]:
    prefix = kind.__name__.lower()
    return [(field.name, f"{prefix}_{field.name}") for field in fields(kind)]
