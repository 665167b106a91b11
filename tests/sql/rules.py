"""Which SQL the ledger keeps to, so that its tables may lie on other engines than one Postgres.

A rule is a function that says whether a statement breaks it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

from tests.sql.statements import Query, tables_joined

Rule = Callable[[Query], bool]

# By what a table's rows would be spread over machines; a catalog would be on each.
KEYED_BY = {
    **dict.fromkeys(
        ("account", "owner", "entry", "hold", "lot", "gift_context", "withdrawal", "erasure"),
        "owner",
    ),
    **dict.fromkeys(("transactions", "personal_data", "top_up", "redemption"), "id"),
    **dict.fromkeys(("money_movement",), "id"),
    "claim": "claim",
}

SYSTEM_COLUMNS = re.compile(
    r"\b(xmin|xmax|cmin|cmax|ctid|tableoid|txid_\w+|pg_current_xact_id\w*|pg_(current_)?snapshot\w*"
    r"|pg_xact_\w+|pg_visible_\w+)\b",
    re.IGNORECASE,
)
CHANGE = re.compile(
    r"\b(INSERT INTO|DELETE FROM|(?<!FOR )(?<!KEY )(?<!DO )UPDATE) (?:ONLY )?(?!ON\b|OF\b)(\w+)"
)
ONLY_POSTGRES = re.compile(r"\b(pg_(?!current_xact_id|snapshot)\w+|(?:UN)?LISTEN|NOTIFY)\b")


def _any(statement: Query, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(query.text) for query in statement.walk())


def system_columns(statement: Query) -> bool:
    """No system columns, and no numbers of transactions of the database."""
    return _any(statement, SYSTEM_COLUMNS)


def changes_twice(statement: Query) -> bool:
    """A statement changes a table once, or only inserts into it."""
    changes: defaultdict[str, list[str]] = defaultdict(list)
    for query in statement.walk():
        for verb, table in CHANGE.findall(query.text):
            is_upsert = "ON CONFLICT" in query.text
            changes[table].append("upsert" if is_upsert else verb)
    return any(len(verbs) > 1 and set(verbs) != {"INSERT INTO"} for verbs in changes.values())


def no_columns(statement: Query) -> bool:
    """Each SELECT names a column."""
    return _any(statement, re.compile(r"\bSELECT( (FROM|WHERE|LIMIT|UNION)\b|$)"))


def locks_a_join(statement: Query) -> bool:
    """What is locked is one table."""
    locking = re.compile(r"\bFOR (NO KEY UPDATE|UPDATE|SHARE|KEY SHARE)\b")
    return any(
        len(query.sources) != 1 or query.sources[0][1] != ""
        for query in statement.walk()
        if locking.search(query.text)
    )


def needs_brin(statement: Query) -> bool:
    """BRIN is for a step that goes on without."""
    is_optional = "EXCEPTION WHEN feature_not_supported" in statement.text
    return _any(statement, re.compile(r"\bbrin\b", re.IGNORECASE)) and not is_optional


def only_postgres(statement: Query) -> bool:
    """What Postgres alone has (pg_..., NOTIFY) is asked for in places that are named."""
    return _any(statement, ONLY_POSTGRES)


def joins_across(statement: Query) -> bool:
    """Rows that lie with their owner are not joined with those that lie by their id."""
    return any(
        len({KEYED_BY[table] for table in tables if table in KEYED_BY}) > 1
        for tables in tables_joined(statement)
    )


def keeps_version(statement: Query) -> bool:
    """Every UPDATE of `account` sets its version."""
    update = re.compile(r"\bUPDATE (?:ONLY )?account\b|\bINSERT INTO account\b.* DO UPDATE\b")
    sets = re.compile(r"\bSET (?:(?! FROM | WHERE ).)*\bversion = ")
    return any(
        update.search(query.text) is not None and sets.search(query.text) is None
        for query in statement.walk()
    )


RULES: tuple[Rule, ...] = (
    system_columns,
    changes_twice,
    no_columns,
    locks_a_join,
    needs_brin,
    only_postgres,
    joins_across,
    keeps_version,
)
