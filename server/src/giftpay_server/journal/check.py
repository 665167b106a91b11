"""The checks of an audit: each one finds the first row, by key, that breaks an invariant.

A slice lists its own in `checks.py`, as `CHECKS`. They run after the kernel's checks and rely on
what these prove, such as that a transaction's list of entries is well-formed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from giftpay.v1 import BrokenRow, Unit
from google.protobuf.message import DecodeError

from giftpay_server.postgres.pool import Connection
from giftpay_server.protobuf import short_name

STATEMENT_TIMEOUT_S = 1_800  # a check may read whole tables


class AuditCheck(Protocol):
    """One or several invariants that are checked together."""

    @property
    def names(self) -> Sequence[str]:
        """The names of its invariants."""

    @property
    def whole(self) -> bool:
        """Whether it runs only without `since`, since its rows do not record when they changed."""

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        """The first broken row, by key.

        It reads what was written at or after `since`, and the accounts that moved since with the
        rows that belong to them. Every batch that moves an account sets its entry_time.
        """


# MATERIALIZED, so that the broken rows are collected before they are sorted. Otherwise the LIMIT
# makes the planner walk an intact table in the order of its keys, hoping for an early match.
FRAME = """
    WITH broken AS MATERIALIZED ({broken})
    SELECT {name} AS check, '{table}' AS table, concat_ws('/', {shown_key}) AS key,
           {detail} AS detail
      FROM broken
     ORDER BY {key}
     LIMIT 1
"""

UNIT_NAME = "CASE unit {} END".format(
    " ".join(f"WHEN {number} THEN '{short_name(Unit, number)}'" for number in Unit.values()[1:])
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check that consists of one statement."""

    # For several invariants: each name with the condition that breaks it; the first true one wins.
    name: str | Mapping[str, str]
    table: str
    broken: str  # selects the broken rows; $1: `since`, unless it is `whole`
    key: str  # selected columns that identify the row; a `unit` is shown by its name
    detail: str  # an expression over the selected columns
    whole: bool = False

    @property
    def names(self) -> Sequence[str]:
        return (self.name,) if isinstance(self.name, str) else tuple(self.name)

    @property
    def sql(self) -> str:
        """The statement, which returns the fields of a BrokenRow or no row."""
        shown = [UNIT_NAME if column == "unit" else column for column in self.key.split(", ")]
        return FRAME.format(
            broken=self.broken,
            name=self._name(),
            table=self.table,
            shown_key=", ".join(shown),
            key=self.key,
            detail=self.detail,
        )

    def _name(self) -> str:
        if isinstance(self.name, str):
            return f"'{self.name}'"
        cases = (f"WHEN {condition} THEN '{name}'" for name, condition in self.name.items())
        return f"CASE {' '.join(cases)} END"

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        given = () if self.whole else (since,)
        row = await connection.fetchrow(self.sql, *given, timeout=STATEMENT_TIMEOUT_S)
        return BrokenRow(**row) if row is not None else None


# Checks of the kernel's tables.
of_account = partial(Check, table="account", key="owner_id, unit")
of_entry = partial(Check, table="entry", key="owner_id, unit, seq")
of_lot = partial(Check, table="lot", key="owner_id, unit, seq")
of_transaction = partial(Check, table="transactions", key="id")
of_money_movement = partial(Check, table="money_movement", key="transaction_id")


CHUNK = 200  # rows held in memory: a few milliseconds of the event loop


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseCheck:
    """A check that rows agree with the answers that were given when they were made."""

    table: str
    read: str  # selects key, request, answer and the columns that the answer promised
    promise: Callable[[bytes, bytes], Mapping[str, Any]]  # request, answer -> expected columns
    whole: bool = False

    @property
    def names(self) -> Sequence[str]:
        return (f"{self.table}.promise",)

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        rows = connection.cursor(self.read, since, prefetch=CHUNK, timeout=STATEMENT_TIMEOUT_S)
        async for row in rows:
            if detail := self._disagreement(row):
                (name,), key = self.names, str(row["key"])
                return BrokenRow(check=name, table=self.table, key=key, detail=detail)
        return None

    def _disagreement(self, row: Any) -> str:
        """Describes how a row differs from its answer; empty if it does not."""
        try:
            promised = self.promise(row["request"], row["answer"])
        except DecodeError:
            return "expected a request and its answer, found other bytes"
        found = {name: row[name] for name in promised}
        return f"expected {promised}, found {found}" if found != promised else ""
