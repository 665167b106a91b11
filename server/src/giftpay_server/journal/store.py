"""The journal's SQL for locking accounts and reading the books."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from itertools import chain
from typing import Any, NamedTuple

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND

from giftpay_server.journal.columns import aggregated, rows_of
from giftpay_server.ledger.model import (
    Account,
    AccountKey,
    Books,
    Command,
    Entry,
    Owner,
    Row,
    RowKey,
    Transaction,
)
from giftpay_server.postgres.pool import Connection, Pool

CatalogAt = Callable[[Connection, int, int], Awaitable[Any]]  # by version and etag


async def _unsupported(connection: Any, _: Sequence[Any]) -> Any:
    raise NotImplementedError


class Kept(Enum):
    """How a row may be cached."""

    NOT = "it is read under locks, for each command that names it"
    COMPANION = "it changes only with its owner's accounts, whose versions guard it; has owner_id"
    TERMS = "it is immutable"


class Table(NamedTuple):
    """How one kind of row is loaded and saved, a batch at a time; unused functions are left out."""

    load: Callable[[Any, Sequence[Any]], Awaitable[Sequence[Row]]] = _unsupported  # by their keys
    save: Callable[[Any, Sequence[Any]], Awaitable[None]] = _unsupported
    kept: Kept = Kept.NOT


Tables = Mapping[type[Row], Table]

# $1 and $2: owners of coins, and of diamonds.
NAMED = f"""
    (unit = {UNIT_COIN} AND owner_id = ANY($1::text[])
     OR unit = {UNIT_DIAMOND} AND owner_id = ANY($2::text[]))
"""

# Two arrays instead of pairs: a join would lose the order in which rows are locked.
LOCK_ACCOUNTS = f"""
    SELECT count(*)
      FROM (SELECT 1
              FROM account
             WHERE {NAMED}
             ORDER BY owner_id, unit  -- the same order in every batch prevents deadlocks
               FOR UPDATE) AS locked
"""

# Two statements, since locking must not be joined: the existing rows, and the unlocked ones.
READ_THERE = f"""
    SELECT owner_id, unit
      FROM account
     WHERE {NAMED}
"""

LOCK_FREE = f"""
    SELECT owner_id, unit
      FROM account
     WHERE {NAMED}
     ORDER BY owner_id, unit
       FOR UPDATE SKIP LOCKED
"""

READ_HOLDER = """
    SELECT a.pid, a.usename, a.application_name
      FROM unnest(pg_blocking_pids($1)) AS blocking (pid)
      JOIN pg_stat_activity a ON a.pid = blocking.pid
     LIMIT 1
"""

HOLDER = "process {pid} ({usename}, {application_name!r})"

# A journal is recognised by the application_name of its sessions. One whose session begins later
# decides at a later time, by Postgres' clock.
READ_CLOCK_AND_PEERS = """
    SELECT extract(epoch FROM $1 - clock_timestamp())::float8 AS ahead_s,
           EXISTS (
               SELECT 1
                 FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'giftpay-server journal'
                  AND pid <> ALL($2::integer[])
           ) AS others
"""

# A separate statement after the locks: its snapshot includes what committed while we waited. Rows
# are returned as columns, since decoding thousands of records costs more than finding them;
# transactions and claims that exist already are rare.
READ = f"""
    SELECT ARRAY(SELECT t FROM transactions t WHERE t.id = ANY($3::uuid[])) AS transactions,
           ARRAY(SELECT c FROM claim c WHERE c.id = ANY($4::text[])) AS claims,
           latest.*,
           a.*,
           o.*
      FROM (SELECT max(version) AS catalog_version, max(etag) AS catalog_etag
              FROM (SELECT version, etag FROM catalog ORDER BY version DESC LIMIT 1) AS newest
           ) AS latest,
           (SELECT {aggregated(Account)} FROM account WHERE {NAMED}) AS a,
           (SELECT {aggregated(Owner)} FROM owner WHERE owner_id = ANY($1::text[] || $2::text[])
           ) AS o
"""

READ_SALTS = """
    SELECT transaction_id, salt, generation
      FROM shown_personal_data
     WHERE transaction_id = ANY($1::uuid[])
"""


async def lock_accounts(connection: Connection, keys: Collection[AccountKey]) -> None:
    """Locks accounts until the transaction ends."""
    await connection.execute(LOCK_ACCOUNTS, *_by_unit(keys))


async def locked_accounts(connection: Connection, keys: Collection[AccountKey]) -> set[AccountKey]:
    """Which of these accounts another session has locked at this moment."""
    there = await connection.fetch(READ_THERE, *_by_unit(keys))
    free = await connection.fetch(LOCK_FREE, *_by_unit(keys))
    return set(map(_key, there)) - set(map(_key, free))


def _key(row: Any) -> AccountKey:
    return row["owner_id"], row["unit"]


async def lock_holder(asking: Connection, waiting_pid: int) -> str:
    """Describes the session that blocks another one; empty if none does."""
    row = await asking.fetchrow(READ_HOLDER, waiting_pid)
    return HOLDER.format_map(row) if row is not None else ""


async def read_clock_and_peers(pool: Pool, at: datetime, ours: Sequence[int]) -> tuple[float, bool]:
    """How far a time is ahead of Postgres' clock, and whether other journals are connected."""
    row = await pool.fetchrow(READ_CLOCK_AND_PEERS, at, ours)
    assert row is not None  # it has no WHERE
    return row["ahead_s"], row["others"]


def _by_unit(keys: Collection[AccountKey]) -> list[list[str]]:
    return [
        [owner for owner, unit in keys if unit == wanted] for wanted in (UNIT_COIN, UNIT_DIAMOND)
    ]


async def read_books(
    connection: Connection,
    commands: Sequence[Command],
    keys: Collection[AccountKey],
    *,
    catalog_at: CatalogAt,
) -> Books:
    """These accounts and whatever else the commands name, in one snapshot."""
    (found,) = await connection.fetch(
        READ,
        *_by_unit(keys),
        [command.id for command in commands if command.id],  # a preview has none
        list(chain.from_iterable(command.claims for command in commands)),
    )
    version, etag = found["catalog_version"] or 0, found["catalog_etag"] or 0
    books = Books(
        catalog=await catalog_at(connection, version, etag),
        accounts={(each.owner_id, each.unit): each for each in rows_of(Account, found)},
        owners={each.owner_id: each for each in rows_of(Owner, found)},
        claims={row["id"]: str(row["transaction_id"]) for row in found["claims"]},
    )
    if found["transactions"]:
        books.transactions = await _with_salts(connection, found["transactions"])
    return books


async def _with_salts(connection: Connection, found: Sequence[Any]) -> dict[str, Transaction]:
    rows = await connection.fetch(READ_SALTS, [row["id"] for row in found])
    salted = {row["transaction_id"]: row for row in rows}
    return {str(row["id"]): transaction(row, salted.get(row["id"])) for row in found}


def transaction(row: Any, salted: Any = None) -> Transaction:
    """A row of `transactions`, with the salt of its personal data unless that was erased."""
    return Transaction(
        id=str(row["id"]),
        caller=row["caller"],
        kind=row["kind"],
        request=row["request"],
        reason=row["reason"],
        answer=row["answer"],
        catalog_version=row["catalog_version"],
        entries=row["entries"],
        create_time=row["create_time"],
        salt=salted["salt"] if salted is not None else b"",
        generation=salted["generation"] if salted is not None else 0,
    )


def entry(row: Any) -> Entry:
    """A row of `entry`."""
    return Entry(
        owner_id=row["owner_id"],
        unit=row["unit"],
        seq=row["seq"],
        transaction_id=str(row["transaction_id"]),
        system=row["system_account"],
        amount=row["amount"],
        balance=row["balance"],
    )


async def read_rows(
    connection: Connection, names: Iterable[RowKey], tables: Tables
) -> dict[RowKey, Row]:
    """The slices' rows of these names, one statement a kind."""
    wanted: dict[type[Row], list[Any]] = {}
    for kind, key in names:
        wanted.setdefault(kind, []).append(key)
    return {
        (kind, row.key): row
        for kind, keys in wanted.items()
        for row in await tables[kind].load(connection, list(dict.fromkeys(keys)))
    }
