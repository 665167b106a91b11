"""What breaks a rule, and why it may. This list only ever shrinks: a test asks for each of it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sql import rules
from tests.sql.rules import Rule

AUDIT = "proves that the tables agree, in one snapshot; elsewhere it would need another form"
TRACE = "an operator's question, rare and beside the way of money"

# By rule: the constant, or the module of many, and the reason.
EXCEPTIONS: Mapping[Rule, Mapping[str, str]] = {
    rules.only_postgres: {
        "0001_ledger.sql": "makes the role unless it is there: once, by whoever sets up",
        "admin.store.LIST_ERASURES": "a standby removes nothing",
        "admin.audit.READ_SETTLED": "what still commits, and how far a standby is",
        "journal.feed.HINT": "a hint: where it is refused, readers poll",
        "journal.store.READ_HOLDER": "for a line in the log",
        "journal.store.READ_CLOCK_AND_PEERS": "other servers show themselves by their sessions",
        "postgres.embedded.DATABASE_EXISTS": "of the embedded Postgres alone",
        "postgres.migrations.LOCK": "one server at a time sets up",
        "postgres.migrations.HOLDER": "for a line in the log",
        "postgres.pool.MAKE_DURABLE": "for a synchronous standby of Postgres",
    },
    rules.joins_across: {
        "admin.checks.all_checks": AUDIT,
        "admin.checks.accounts": AUDIT,
        "admin.checks.entries": AUDIT,
        "admin.checks.lots": AUDIT,
        "admin.checks.money": AUDIT,
        "gift.checks": AUDIT,
        "journal.row_checks": AUDIT,
        "redemption.checks": AUDIT,
        "top_up.checks": AUDIT,
        "0001_ledger.sql": "a view of what is not erased; the erasures under way are few",
        "journal.trace_store.READ_ENTRIES": TRACE,
        "journal.trace_store.READ_CAME_BACK": TRACE,
    },
}
