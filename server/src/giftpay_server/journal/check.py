"""What an audit asks of the books: each check finds the first row, by its key, that breaks it.

A slice lists its own in `checks.py`, as `CHECKS`. What a kernel's check proves, the slices' rely
on: theirs are made after it, such as to take apart what a transaction lists.
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

STATEMENT_TIMEOUT_S = 1_800  # a check may read all there is


class AuditCheck(Protocol):
    """One look at the books."""

    @property
    def names(self) -> Sequence[str]:
        """What it may find broken."""

    @property
    def whole(self) -> bool:
        """Whether it is made only of all there is, since nothing tells the age of its rows."""

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        """The first broken row, by key.

        It looks at what was written at or after `since`, and at the accounts touched since, with
        what hangs on them. Every batch that moves an account sets its entry_time.
        """


# The table is built before it is sorted (MATERIALIZED): a plan that hoped to find a broken row
# early would walk all of a sound table in the order of its keys.
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
    """A check that one statement makes."""

    # Where one look finds several faults: each name with its condition, the first that is true.
    name: str | Mapping[str, str]
    table: str
    broken: str  # selects the broken rows; $1: `since`, unless it is `whole`
    key: str  # columns of what it selects; a `unit` is shown by its name
    detail: str  # an expression over what it selects
    whole: bool = False

    @property
    def names(self) -> Sequence[str]:
        return (self.name,) if isinstance(self.name, str) else tuple(self.name)

    @property
    def sql(self) -> str:
        """The statement: one row of a BrokenRow's fields, or none."""
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


# Checks of the kernel's tables, by their keys.
of_account = partial(Check, table="account", key="owner_id, unit")
of_entry = partial(Check, table="entry", key="owner_id, unit, seq")
of_lot = partial(Check, table="lot", key="owner_id, unit, seq")
of_transaction = partial(Check, table="transactions", key="id")
of_money_movement = partial(Check, table="money_movement", key="transaction_id")


CHUNK = 200  # rows in memory, a few milliseconds of the event loop


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseCheck:
    """A check that rows are what the answers promised when they were made."""

    table: str
    read: str  # key, request and answer, with the columns of which something was promised
    promise: Callable[[bytes, bytes], Mapping[str, Any]]  # these, of the request and the answer
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
        """What is wrong with a row; empty if nothing is."""
        try:
            promised = self.promise(row["request"], row["answer"])
        except DecodeError:
            return "expected a request and its answer, found other bytes"
        found = {name: row[name] for name in promised}
        return f"expected {promised}, found {found}" if found != promised else ""
