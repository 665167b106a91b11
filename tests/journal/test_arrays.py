"""Arrays written as text come out of Postgres as they went in."""

from __future__ import annotations

import asyncpg
from giftpay_server.journal.writes import text_array, text_columns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WORDS = st.text(
    st.one_of(
        st.sampled_from('",{}\\ \nNUL'), st.characters(exclude_characters="\0", codec="utf-8")
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.lists(WORDS), numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
async def test_what_goes_in_comes_out(
    pool: asyncpg.Pool[asyncpg.Record], words: list[str], numbers: list[int]
) -> None:
    sql = "SELECT $1::text::text[], $2::text::bigint[]"
    assert list(await pool.fetchrow(sql, text_array(words), text_array(numbers)) or ()) == [
        words,
        numbers,
    ]


def test_no_rows_are_as_many_empty_columns() -> None:
    assert text_columns([], width=2) == ["{}", "{}"]


def test_bytes_stay_bytes() -> None:
    assert text_columns([(b"a", 1), (b"b", 2)], width=2) == [(b"a", b"b"), "{1,2}"]
