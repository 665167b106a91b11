"""Audit checks for tables whose rows are made by transactions and have their ids."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import TransactionKind, Unit

from giftpay_server.journal.check import Check, of_money_movement
from giftpay_server.journal.sql import POSTED

MADE_BY = """
    SELECT t.id AS {table}_id
      FROM transactions t
      LEFT JOIN {table} r ON r.{table}_id = t.id
     WHERE t.create_time >= $1 AND t.kind = {kind} AND t.reason = {posted} AND r.{table}_id IS NULL
"""

OF_TRANSACTION = """
    SELECT r.{table}_id
      FROM account a
      JOIN {table} r ON r.owner_id = a.owner_id
      LEFT JOIN transactions t
        ON t.id = r.{table}_id AND t.kind = {kind} AND t.reason = {posted}
       AND {agree}
     WHERE a.entry_time >= $1 AND a.unit = {unit} AND t.id IS NULL
"""


def row_checks(
    table: str,
    *,
    made_by: TransactionKind.ValueType,
    unit: Unit.ValueType,
    is_priced: bool = False,
) -> Sequence[Check]:
    """Checks that each transaction of the kind has its row, and each row its transaction.

    The table has the columns `<table>_id`, which is the transaction's id, `owner_id` and
    `create_time`; and `catalog_version` if its rows are priced by the catalog.
    """
    columns = ("create_time", "catalog_version") if is_priced else ("create_time",)
    agree = " AND ".join(f"t.{column} = r.{column}" for column in columns)
    values = {"table": table, "kind": made_by, "unit": unit, "posted": POSTED, "agree": agree}
    return (
        Check(
            name="transaction.row",
            table=table,
            broken=MADE_BY.format_map(values),
            key=f"{table}_id",
            detail="'expected the row that its transaction made, found none'",
        ),
        Check(
            name=f"{table}.transaction",
            table=table,
            broken=OF_TRANSACTION.format_map(values),
            key=f"{table}_id",
            detail=f"'expected a posted transaction of its {', '.join(columns)}, found none'",
        ),
    )


SUBJECT = """
    SELECT m.transaction_id, m.subject_id
      FROM money_movement m
      JOIN transactions t ON t.id = m.transaction_id AND t.kind = {kind}
      LEFT JOIN {table} r ON r.{table}_id = m.subject_id
     WHERE r.{table}_id IS NULL
"""


def subject_check(table: str, *, moved_by: TransactionKind.ValueType) -> Check:
    """Checks that real money moved by transactions of the kind belongs to a row of the table."""
    return of_money_movement(
        name="money_movement.subject",
        broken=SUBJECT.format(table=table, kind=moved_by),
        detail=f"format('expected the {table} %s, found none', subject_id)",
        whole=True,
    )
