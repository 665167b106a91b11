"""The SQL of wallets: opening their accounts, and reading what stands and stood in them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from giftpay_server.ledger.books import Account, AccountKey, Entry, Owner, Table, Transaction
from giftpay_server.ledger.store import Tables, transaction
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.wallet.rules import PendingTopUps


class Standing(NamedTuple):
    """A wallet as it was read, all of it in one look."""

    owner: Owner
    coins: Account
    diamonds: Account


class Asked(NamedTuple):
    """What a transaction was asked, and the words that its request holds as a hash."""

    request: bytes
    words: str


class Line(NamedTuple):
    """One line of a statement."""

    entry: Entry
    create_time: datetime
    kind: int  # giftpay.v1.TransactionKind
    asked: Asked


# Before the command, in a transaction of its own: a command locks the accounts that are there. Rows
# without an owner harm nobody, since every other command asks for the owner.
OPEN_ACCOUNTS = """
    INSERT INTO account (owner_id, unit) VALUES ($1, 1), ($1, 2) ON CONFLICT DO NOTHING
"""


async def open_accounts(pool: Pool, owner_id: str) -> None:
    """Makes the two empty accounts of an owner, unless they are there."""
    await pool.execute(OPEN_ACCOUNTS, owner_id)


READ_WALLET = """
    SELECT o.owner_id, o.status, o.country, o.adult_from, o.create_time,
           a.unit, a.balance, a.held, a.seq
      FROM owner o
      JOIN account a ON a.owner_id = o.owner_id
     WHERE o.owner_id = $1
     ORDER BY a.unit
"""


async def read_wallet(pool: Pool, owner_id: str) -> Standing | None:
    """A wallet as it stands now."""
    return _standing(await pool.fetch(READ_WALLET, owner_id))


# A batch is written a little later than the time it bears, and so might come to light after a look.
# What is being written is waited for. What is decided and not yet written finds the account
# changed, and is decided again: at a later time, since none is before the account's entry_time.
CLOSE_TIME = """
    UPDATE account a
       SET entry_time = $2 + interval '1 microsecond', version = $3
      FROM (SELECT unit FROM account WHERE owner_id = $1 ORDER BY unit FOR UPDATE) AS locked
     WHERE a.owner_id = $1 AND a.unit = locked.unit AND a.entry_time <= $2
"""


async def close_time(pool: Pool, owner_id: str, at: datetime) -> None:
    """Sees to it that nothing more is booked for an owner at or before a time."""
    await pool.execute(CLOSE_TIME, owner_id, at, secrets.randbits(63))


# The times of an account's entries never decrease, so the last one at or before a time is found by
# halving: it is `low` (0: none) or lies between `low` and `high`. OFFSET 0 keeps each step a
# look-up by primary key; without statistics the planner would rather read the whole history.
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


async def read_wallet_at(pool: Pool, owner_id: str, at: datetime) -> Standing | None:
    """A wallet with its accounts as they stood at a time; before its opening they are empty."""
    return _standing(await pool.fetch(READ_WALLET_AT, owner_id, at))


def _standing(rows: Sequence[Any]) -> Standing | None:
    if not rows:
        return None
    coins, diamonds = (
        Account(row["owner_id"], row["unit"], row["balance"], row["held"], row["seq"])
        for row in rows
    )
    return Standing(Owner(*rows[0][:5]), coins, diamonds)


LIST_BEFORE = """
    SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance,
           e.create_time, t.kind, t.request, p.value AS words
      FROM entry e
      JOIN transactions t ON t.id = e.transaction_id
      LEFT JOIN personal_data p ON p.transaction_id = e.transaction_id
     WHERE e.owner_id = $1 AND e.unit = $2 AND e.seq < $3
     ORDER BY e.seq DESC
     LIMIT $4
"""


async def list_before(pool: Pool, account: AccountKey, *, seq: int, limit: int) -> list[Line]:
    """The entries below a seq, newest first."""
    return [_line(row) for row in await pool.fetch(LIST_BEFORE, *account, seq, limit)]


LIST_AFTER = """
    SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance,
           e.create_time, t.kind, t.request, p.value AS words
      FROM entry e
      JOIN transactions t ON t.id = e.transaction_id
      LEFT JOIN personal_data p ON p.transaction_id = e.transaction_id
     WHERE e.owner_id = $1 AND e.unit = $2 AND e.seq > $3
     ORDER BY e.seq
     LIMIT $4
"""


async def list_after(pool: Pool, account: AccountKey, *, seq: int, limit: int) -> list[Line]:
    """The entries above a seq, oldest first."""
    return [_line(row) for row in await pool.fetch(LIST_AFTER, *account, seq, limit)]


# The account's own position comes with them, so that where there are none it is known whether there
# can be any: a database that was restored may have gone back behind what a follower has seen.
LIST_NEWS = """
    SELECT e.*, a.seq AS last_seq
      FROM account a
      LEFT JOIN LATERAL (
           SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount,
                  e.balance, e.create_time, t.kind, t.request, p.value AS words
             FROM entry e
             JOIN transactions t ON t.id = e.transaction_id
             LEFT JOIN personal_data p ON p.transaction_id = e.transaction_id
            WHERE e.owner_id = a.owner_id AND e.unit = a.unit AND e.seq > $3
            ORDER BY e.seq
            LIMIT $4
           ) AS e ON true
     WHERE a.owner_id = $1 AND a.unit = $2
     ORDER BY e.seq
"""


async def list_news(
    pool: Pool, account: AccountKey, *, seq: int, limit: int
) -> tuple[list[Line], int]:
    """The entries above a seq, oldest first, and the seq that the account has reached."""
    rows = await pool.fetch(LIST_NEWS, *account, seq, limit)
    last_seq = rows[0]["last_seq"] if rows else 0  # an account that is gone has no entries
    return [_line(row) for row in rows if row["seq"] is not None], last_seq


def _line(row: Any) -> Line:
    owner_id, unit, seq, transaction_id, *booked = row[:7]
    entry = Entry(owner_id, unit, seq, str(transaction_id), *booked)
    return Line(entry, row["create_time"], row["kind"], _asked(row))


def _asked(row: Any) -> Asked:
    return Asked(row["request"], row["words"] or "")


READ_ASKED = """
    SELECT t.id, t.request, p.value AS words
      FROM transactions t
      LEFT JOIN personal_data p ON p.transaction_id = t.id
     WHERE t.id = ANY($1::uuid[])
"""


async def read_asked(pool: Pool, ids: Sequence[str]) -> dict[str, Asked]:
    """What some transactions were asked."""
    return {str(row["id"]): _asked(row) for row in await pool.fetch(READ_ASKED, ids)}


READ_TRANSACTION = "SELECT * FROM transactions WHERE id = $1"


async def read_transaction(pool: Pool, transaction_id: str) -> Transaction | None:
    """What was decided under an id."""
    row = await pool.fetchrow(READ_TRANSACTION, transaction_id)
    return transaction(row) if row is not None else None


# 1: PENDING
COUNT_PENDING_TOP_UPS = """
    SELECT o.owner_id,
           (SELECT count(*) FROM top_up t WHERE t.owner_id = o.owner_id AND t.state = 1)
      FROM unnest($1::text[]) AS o (owner_id)
"""


async def count_pending_top_ups(
    connection: Connection, keys: Sequence[str]
) -> Sequence[PendingTopUps]:
    """The top-ups that keep a wallet open; they are written by their own slice."""
    rows = await connection.fetch(COUNT_PENDING_TOP_UPS, keys)
    return [PendingTopUps(*row) for row in rows]


TABLES: Tables = {PendingTopUps: Table(load=count_pending_top_ups)}
