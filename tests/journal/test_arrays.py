"""Arrays written as text come out of Postgres as they went in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import asyncpg
from giftpay_server.journal.columns import (
    Columns,
    aggregated,
    rows_of,
    text_array,
    transposed,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXTS = st.text(
    st.one_of(
        st.sampled_from('",{}\\ \nNUL'), st.characters(exclude_characters="\0", codec="utf-8")
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(TEXTS), numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
async def test_what_goes_in_comes_out(
    pool: asyncpg.Pool[asyncpg.Record], texts: list[str], numbers: list[int]
) -> None:
    sql = "SELECT $1::text::text[], $2::text::bigint[]"
    assert list(await pool.fetchrow(sql, text_array(texts), text_array(numbers)) or ()) == [
        texts,
        numbers,
    ]


class Pair(NamedTuple):
    first: bytes
    second: int


PAIR = Columns("one bytea, two bigint", one="first", two="second")


def test_no_rows_are_as_many_empty_columns() -> None:
    assert PAIR.arrays([]) == [[], []]
    assert PAIR.texts(transposed(Pair, [])) == [(), "{}"]


def test_bytes_stay_bytes() -> None:
    values = transposed(Pair, [Pair(b"a", 1), Pair(b"b", 2)])
    assert PAIR.texts(values) == [(b"a", b"b"), "{1,2}"]
    assert PAIR.text_parameters(first=7) == "$7::bytea[], $8::text::bigint[]"


def test_columns_go_by_their_names_whatever_the_order_of_the_fields() -> None:
    swapped = Columns("second bigint, first bytea")
    assert swapped.names == "second, first"
    assert swapped.parameters() == "$1::bigint[], $2::bytea[]"
    assert swapped.arrays([Pair(b"a", 1), Pair(b"b", 2)]) == [[1, 2], [b"a", b"b"]]


@dataclass
class Point:
    x: int
    y: int


def test_rows_are_found_by_the_names_of_their_columns() -> None:
    assert aggregated(Point) == "array_agg(x) AS point_x, array_agg(y) AS point_y"
    assert list(rows_of(Point, {"point_y": [3, 4], "point_x": [1, 2]})) == [
        Point(1, 3),
        Point(2, 4),
    ]
    assert list(rows_of(Point, {"point_y": None, "point_x": None})) == []
