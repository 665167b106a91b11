"""All SQL of the server keeps to what other engines have as well, with the exceptions named."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import giftpay_server
import pytest

from tests.sql import rules
from tests.sql.exceptions import EXCEPTIONS
from tests.sql.rules import RULES, Rule
from tests.sql.statements import is_sql, modules, read_all, statements

SQL = read_all()

BAD: tuple[tuple[Rule, str], ...] = (
    (rules.system_columns, "SELECT xmin FROM account"),
    (rules.system_columns, "SELECT a.ctid FROM account a"),
    (rules.system_columns, "SELECT (SELECT pg_current_xact_id()) AS id"),
    (rules.system_columns, "SELECT txid_current()"),
    (
        rules.changes_twice,
        """
        WITH moved AS (UPDATE hold SET state = 2 RETURNING 1),
             again AS (UPDATE hold h SET state = 3 RETURNING 1)
        SELECT count(*) FROM moved
        """,
    ),
    (
        rules.changes_twice,
        """
        WITH gone AS (DELETE FROM personal_data RETURNING 1)
        INSERT INTO personal_data (transaction_id) VALUES ($1)
        """,
    ),
    (rules.no_columns, "SELECT EXISTS (SELECT FROM catalog WHERE version = $1)"),
    (rules.no_columns, "SELECT EXISTS (SELECT\n  -- nothing\n  FROM catalog)"),
    (rules.no_columns, "SELECT count(*) FROM (SELECT) AS one"),
    (rules.locks_a_join, "SELECT 1 FROM entry e JOIN owner o ON o.owner_id = $1 FOR UPDATE OF o"),
    (rules.locks_a_join, "SELECT 1 FROM account a, unnest($1::text[]) AS n FOR SHARE"),
    (rules.locks_a_join, "SELECT 1 FROM (SELECT 1 FROM account) AS a FOR NO KEY UPDATE"),
    (rules.needs_brin, "CREATE INDEX entry_time ON entry USING brin (create_time)"),
    (rules.only_postgres, "SELECT pg_notify($1, $2)"),
    (rules.only_postgres, "LISTEN giftpay_entries"),
    (rules.only_postgres, "SELECT pg_advisory_xact_lock(1)"),
    (rules.only_postgres, "SELECT count(*) FROM pg_stat_activity"),
    (rules.only_postgres, "SELECT pg_logical_emit_message(true, 'giftpay', '')"),
    (rules.joins_across, "SELECT 1 FROM entry e JOIN transactions t ON t.id = e.transaction_id"),
    (rules.joins_across, "SELECT 1 FROM hold h, redemption r WHERE r.redemption_id = h.hold_id"),
    (rules.joins_across, "SELECT 1 FROM transactions t LEFT JOIN claim c ON c.id = t.id::text"),
    (
        rules.joins_across,
        "SELECT (SELECT count(*) FROM top_up t WHERE t.owner_id = o.owner_id) FROM owner o",
    ),
    (
        rules.joins_across,
        "SELECT 1 FROM owner o WHERE (o.status = 1 OR EXISTS (SELECT 1 FROM money_movement m"
        " WHERE m.reference = o.owner_id))",
    ),
    (
        rules.joins_across,
        """
        WITH recent AS MATERIALIZED (SELECT transaction_id FROM entry WHERE owner_id = $1)
        SELECT t.* FROM transactions t JOIN recent r ON r.transaction_id = t.id
        """,
    ),
    (
        rules.joins_across,
        "DELETE FROM personal_data p USING owner o WHERE o.owner_id = p.owner_id",
    ),
    (rules.keeps_version, "UPDATE account SET balance = 0 WHERE version = $1"),
    (rules.keeps_version, "UPDATE account a SET seq = 1 FROM entry e WHERE a.version = e.seq"),
    (
        rules.keeps_version,
        "INSERT INTO account (owner_id) VALUES ($1) ON CONFLICT (owner_id) DO UPDATE SET held = 0",
    ),
)

GOOD = (
    # Each in a comment or in a text.
    "SELECT 'xmin' AS name -- SELECT FROM pg_locks\n",
    "SELECT 1 FROM entry WHERE amount IS DISTINCT FROM 0",
    """
    WITH a AS (INSERT INTO entry (seq) VALUES (1)), b AS (INSERT INTO entry (seq) VALUES (2))
    UPDATE account AS a SET balance = 1, version = $1 FROM unnest($2::text[]) AS n (owner_id)
    """,
    "SELECT 1 FROM (SELECT 1 FROM account ORDER BY owner_id FOR UPDATE) AS locked, owner o",
    # Side by side, and no row of the one depends on one of the other.
    "SELECT ARRAY(SELECT t FROM transactions t), (SELECT count(*) FROM entry), o.* FROM owner o",
    "SELECT t.id, p.value FROM transactions t LEFT JOIN personal_data p ON p.transaction_id = t.id",
    "GRANT SELECT, UPDATE ON account TO giftpay_server",
)


def found(rule: Rule) -> set[str]:
    """What breaks a rule, by name."""
    return {name for name, sql in SQL.items() if any(map(rule, statements(sql)))}


def covers(exception: str, name: str) -> bool:
    return name == exception or name.startswith((f"{exception}.", f"{exception}["))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_holds_but_for_the_exceptions_that_are_named(rule: Rule) -> None:
    excepted = EXCEPTIONS.get(rule, {})
    broken = [name for name in found(rule) if not any(covers(each, name) for each in excepted)]
    assert not broken, inspect.getdoc(rule)


def test_each_exception_is_still_needed() -> None:
    idle = [
        (rule.__name__, exception)
        for rule, excepted in EXCEPTIONS.items()
        for exception in excepted
        if not any(covers(exception, name) for name in found(rule))
    ]
    assert not idle


@pytest.mark.parametrize(("rule", "sql"), BAD)
def test_what_breaks_a_rule_is_caught_by_that_one_alone(rule: Rule, sql: str) -> None:
    assert is_sql(sql)
    assert [each for each in RULES if any(map(each, statements(sql)))] == [rule]


def test_each_rule_has_caught_something() -> None:
    assert {rule for rule, _ in BAD} == set(RULES)


@pytest.mark.parametrize("sql", GOOD)
def test_what_only_looks_like_it_is_let_through(sql: str) -> None:
    assert is_sql(sql)
    assert [rule for rule in RULES if any(map(rule, statements(sql)))] == []


def test_all_sql_is_seen() -> None:
    known = {
        "0001_ledger.sql",
        "admin.audit.SESSION",
        "admin.checks.accounts.ACCOUNT_SPENT",
        "gift.store.LIST_RECEIVED",
        "journal.feed.HINT",
        "journal.store.LOCK_ACCOUNTS",
        "journal.writes.WRITE",
        "postgres.migrations.LOCK",
        "redemption.store.SAVE_REDEMPTIONS",
        "wallet.store.CLOSE_TIME",
    }
    assert known <= SQL.keys()


def test_each_table_has_a_sharding_key() -> None:
    made = {table for sql in SQL.values() for table in re.findall(r"CREATE TABLE (\w+) \(", sql)}
    assert made == {*rules.KEYED_BY, "catalog"}


def test_all_sql_is_in_constants_of_modules() -> None:
    inline = {text for module in modules() for text in inner_texts(module) if is_sql(text)}
    assert inline == {"SELECT 1"}  # whether there is a database, as the server starts


def inner_texts(module: ModuleType) -> Iterator[str]:
    """The literals of a module that are not in a constant."""
    for part in ast.parse(inspect.getsource(module)).body:
        if not isinstance(part, (ast.Assign, ast.AnnAssign)):
            for node in ast.walk(part):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_hints_are_listened_for_in_one_place() -> None:
    folder = Path(str(giftpay_server.__file__)).parent
    listening = [path.name for path in folder.rglob("*.py") if "add_listener" in path.read_text()]
    assert listening == ["feed.py"]
