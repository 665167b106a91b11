"""The SQL of wallets: opens accounts, and reads current and historical balances and entries."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND

from giftpay_server.journal.store import entry, transaction
from giftpay_server.ledger.model import Account, AccountKey, Entry, Owner, Transaction
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.registration import TransactionRequest


class WalletState(NamedTuple):
    """An owner and its two accounts, read by one statement."""

    owner: Owner
    coins: Account
    diamonds: Account


class Line(NamedTuple):
    """One line of a statement."""

    entry: Entry
    create_time: datetime
    asked: TransactionRequest


# In a separate transaction before the command, which locks existing accounts only. Rows without an
# owner are harmless: every other command requires the owner.
OPEN_ACCOUNTS = f"""
    INSERT INTO account (owner_id, unit)
    VALUES ($1, {UNIT_COIN}), ($1, {UNIT_DIAMOND})
        ON CONFLICT DO NOTHING
"""


async def open_accounts(pool: Pool, owner_id: str) -> None:
    """Creates the two empty accounts of an owner, unless they exist."""
    await pool.execute(OPEN_ACCOUNTS, owner_id)


READ_WALLET = """
    SELECT o.owner_id, o.status, o.country, o.adult_from, o.create_time,
           a.unit, a.balance, a.held, a.seq
      FROM owner o
      JOIN account a ON a.owner_id = o.owner_id
     WHERE o.owner_id = $1
     ORDER BY a.unit
"""


async def read_wallet(pool: Pool, owner_id: str) -> WalletState | None:
    """The current state of a wallet."""
    return _wallet_state(await pool.fetch(READ_WALLET, owner_id))


# A batch commits later than its timestamp, and so may become visible after a read at that time.
# The row lock waits for a batch that is being written. A batch that is decided and not yet written
# finds the account's version changed (a serialization conflict), and is decided again with a later
# timestamp, since none is before the account's entry_time.
CLOSE_TIME = """
    UPDATE account a
       SET entry_time = $2 + interval '1 microsecond', version = $3
      FROM (SELECT unit FROM account WHERE owner_id = $1 ORDER BY unit FOR UPDATE) AS locked
     WHERE a.owner_id = $1 AND a.unit = locked.unit AND a.entry_time <= $2
"""


async def close_time(pool: Pool, owner_id: str, at: datetime) -> None:
    """Prevents further entries of an owner at or before a time."""
    await pool.execute(CLOSE_TIME, owner_id, at, secrets.randbits(63))


# The times of an account's entries never decrease, so a binary search finds the last one at or
# before a time: it is `low` (0: none) or between `low` and `high`. OFFSET 0 keeps each step a
# look-up by primary key; without statistics the planner would read the whole history.
READ_WALLET_AT = """
    WITH RECURSIVE search AS (
        SELECT a.unit, 0::bigint AS low, a.seq + 1 AS high
          FROM account a
         WHERE a.owner_id = $1
         UNION ALL
        SELECT s.unit,
               CASE WHEN e.create_time <= $2 THEN e.seq ELSE s.low END,
               CASE WHEN e.create_time <= $2 THEN s.high ELSE e.seq END
          FROM search s
         CROSS JOIN LATERAL (
                SELECT seq, create_time
                  FROM entry
                 WHERE owner_id = $1 AND unit = s.unit AND seq = (s.low + s.high) / 2
                OFFSET 0
               ) AS e
         WHERE s.high - s.low > 1
    )
    SELECT o.owner_id, o.status, o.country, o.adult_from, o.create_time,
           s.unit, coalesce(e.balance, 0) AS balance,
           (SELECT coalesce(sum(h.amount), 0)::bigint
              FROM hold h
             WHERE h.owner_id = $1 AND h.unit = s.unit AND h.create_time <= $2
               AND (h.end_time IS NULL OR h.end_time > $2)) AS held,
           s.low AS seq
      FROM owner o
     CROSS JOIN search s
      LEFT JOIN entry e ON e.owner_id = $1 AND e.unit = s.unit AND e.seq = s.low
     WHERE o.owner_id = $1 AND s.high - s.low = 1
     ORDER BY s.unit
"""


async def read_wallet_at(pool: Pool, owner_id: str, at: datetime) -> WalletState | None:
    """A wallet with its accounts as of a time; before it was opened they are empty."""
    return _wallet_state(await pool.fetch(READ_WALLET_AT, owner_id, at))


def _wallet_state(rows: Sequence[Any]) -> WalletState | None:
    if not rows:
        return None
    coins, diamonds = (
        Account(
            owner_id=row["owner_id"],
            unit=row["unit"],
            balance=row["balance"],
            held=row["held"],
            seq=row["seq"],
        )
        for row in rows
    )
    return WalletState(_owner(rows[0]), coins, diamonds)


def _owner(row: Any) -> Owner:
    return Owner(
        owner_id=row["owner_id"],
        status=row["status"],
        country=row["country"],
        adult_from=row["adult_from"],
        create_time=row["create_time"],
    )


# Entries are partitioned by owner and transactions by id, so they may be on different machines.
# Read a page of entries first, and then the requests of their transactions.
LIST_BEFORE = """
    SELECT owner_id, unit, seq, transaction_id, system_account, amount, balance, create_time
      FROM entry
     WHERE owner_id = $1 AND unit = $2 AND seq < $3
     ORDER BY seq DESC
     LIMIT $4
"""


async def list_before(
    connection: Connection | Pool, account: AccountKey, *, seq: int, limit: int
) -> list[Line]:
    """The entries below a seq, newest first."""
    return await _lines(connection, LIST_BEFORE, *account, seq, limit)


LIST_AFTER = """
    SELECT owner_id, unit, seq, transaction_id, system_account, amount, balance, create_time
      FROM entry
     WHERE owner_id = $1 AND unit = $2 AND seq > $3
     ORDER BY seq
     LIMIT $4
"""


async def list_after(
    connection: Connection | Pool, account: AccountKey, *, seq: int, limit: int
) -> list[Line]:
    """The entries above a seq, oldest first."""
    return await _lines(connection, LIST_AFTER, *account, seq, limit)


# The account's last seq is read with the entries, so that a reader without new entries notices
# that the account went back behind what a follower has seen: the database was restored.
LIST_NEW = """
    SELECT e.*, a.seq AS last_seq
      FROM account a
      LEFT JOIN LATERAL (
           SELECT owner_id, unit, seq, transaction_id, system_account, amount, balance, create_time
             FROM entry
            WHERE owner_id = a.owner_id AND unit = a.unit AND seq > $3
            ORDER BY seq
            LIMIT $4
           ) AS e ON true
     WHERE a.owner_id = $1 AND a.unit = $2
     ORDER BY e.seq
"""


async def list_new(
    connection: Connection | Pool, account: AccountKey, *, seq: int, limit: int
) -> tuple[list[Line], int]:
    """The entries above a seq, oldest first, and the account's last seq."""
    rows = await connection.fetch(LIST_NEW, *account, seq, limit)
    last_seq = rows[0]["last_seq"] if rows else 0  # a missing account has no entries
    return await _with_asked(connection, [row for row in rows if row["seq"] is not None]), last_seq


READ_POSITIONS = """
    SELECT a.owner_id, a.unit, a.seq
      FROM unnest($1::text[], $2::smallint[]) AS followed (owner_id, unit)
      JOIN account a ON a.owner_id = followed.owner_id AND a.unit = followed.unit
"""


async def read_positions(pool: Pool, accounts: Collection[AccountKey]) -> dict[AccountKey, int]:
    """The last seqs of some accounts; a missing account has none."""
    owners, units = zip(*accounts, strict=True)
    rows = await pool.fetch(READ_POSITIONS, owners, units)
    return {(row["owner_id"], row["unit"]): row["seq"] for row in rows}


READ_ASKED = """
    SELECT t.id, t.kind, t.request, t.entries, p.value AS text
      FROM transactions t
      LEFT JOIN shown_personal_data p ON p.transaction_id = t.id
     WHERE t.id = ANY($1::uuid[])
"""


async def read_asked(
    connection: Connection | Pool, ids: Collection[str]
) -> dict[str, TransactionRequest]:
    """The requests of some transactions; without ids, no query is made."""
    rows = await connection.fetch(READ_ASKED, list(ids)) if ids else ()
    return {
        str(row["id"]): TransactionRequest(
            row["kind"], row["request"], row["text"] or "", row["entries"]
        )
        for row in rows
    }


async def _lines(connection: Connection | Pool, statement: str, *page: Any) -> list[Line]:
    return await _with_asked(connection, await connection.fetch(statement, *page))


async def _with_asked(connection: Connection | Pool, rows: Sequence[Any]) -> list[Line]:
    asked = await read_asked(connection, {str(row["transaction_id"]) for row in rows})
    return [_line(row, asked) for row in rows]


def _line(row: Any, asked: Mapping[str, TransactionRequest]) -> Line:
    booked = entry(row)
    return Line(booked, row["create_time"], asked[booked.transaction_id])


READ_TRANSACTION = "SELECT * FROM transactions WHERE id = $1"


async def read_transaction(pool: Pool, transaction_id: str) -> Transaction | None:
    """The transaction with an id."""
    row = await pool.fetchrow(READ_TRANSACTION, transaction_id)
    return transaction(row) if row is not None else None
