"""Rows as the arrays that a statement unnests, written as text where that is cheaper.

asyncpg asks of each element of an array whether it might be an array itself, which costs three
times what writing the array as text here and reading it in Postgres does. The statement says
`$1::text::bigint[]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def text_columns(rows: Iterable[Sequence[Any]], *, width: int) -> list[Any]:
    """The columns of the rows: of whole numbers and of text as text, of bytes as they are."""
    columns = list(zip(*rows, strict=True)) or [()] * width
    return [column if _is_bytes(column) else text_array(column) for column in columns]


def _is_bytes(column: Sequence[Any]) -> bool:
    return bool(column) and isinstance(column[0], bytes)


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
