"""SQL names the values of enums, so that nobody has to know their numbers."""

from __future__ import annotations

import pytest

from tests.sql.numbers import numbers, written

SCHEMA = "a step of the schema is text alone, and never changes once it was applied"

# By module or step; this list only ever shrinks: a test asks for each of it.
EXCEPTIONS = {
    "0001_ledger.sql": SCHEMA,
    "0004_top_up.sql": SCHEMA,
    "0005_redemption.sql": SCHEMA,
}

FOUND = [(place, found) for place, text in written() for found in numbers(text)]


def test_sql_has_no_numbers_of_enums() -> None:
    assert [found for found in FOUND if found[0] not in EXCEPTIONS] == []


def test_each_exception_is_still_needed() -> None:
    assert EXCEPTIONS.keys() == {place for place, _ in FOUND} & EXCEPTIONS.keys()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM transactions t WHERE t.kind = 7",
        "SELECT 1 FROM transactions t WHERE t.reason IS DISTINCT FROM 0",
        "SELECT 1 FROM account WHERE 1 = account.unit",
        "UPDATE hold SET state = 2",
        "SELECT 1 FROM redemption r WHERE r.state NOT IN (5, 6)",
        "SELECT 1 FROM entry WHERE (unit, system_account) IN ((1, 3))",
        "INSERT INTO account (owner_id, unit) VALUES ($1, 2)",
        "SELECT CASE t.kind WHEN 4 THEN 'top_up' END FROM transactions t",
        "SELECT CASE WHEN end_time IS NULL THEN 1 END FROM hold",
        "SELECT unnest(ARRAY[1, 2]) AS unit",
    ],
)
def test_a_number_is_seen(sql: str) -> None:
    assert numbers(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM transactions t WHERE t.kind = {name} AND t.reason = $1 -- kind = 7",
        "SELECT 'kind = 7', coalesce(e.balance, 0) FROM entry e WHERE e.seq = 1 LIMIT 1",
        "SELECT split_part(ref, '/', 2)::smallint AS unit, lag(first, 1, 0::bigint) OVER lots",
        "SELECT 1 FROM redemption r WHERE r.state IN {name} ORDER BY 1",
    ],
)
def test_what_only_looks_like_one_is_let_through(sql: str) -> None:
    assert not numbers(sql)
