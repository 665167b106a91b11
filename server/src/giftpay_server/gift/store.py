"""The SQL of gifts: sending is the ledger's, reading joins it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from giftpay_server.gift.rules import GiftContext
from giftpay_server.ledger.books import Table, Transaction
from giftpay_server.ledger.store import Tables, transaction
from giftpay_server.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class SentGift:
    """An accepted gift as it was read."""

    transaction: Transaction
    message: str
    seq: int = 0  # of the entry by which it was found
    reversal_id: str = ""


INSERT_CONTEXTS = """
    INSERT INTO gift_context (owner_id, context, seq)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
"""


async def insert_contexts(connection: Connection, rows: Sequence[GiftContext]) -> None:
    """Where gifts were received."""
    await connection.execute(INSERT_CONTEXTS, *zip(*rows, strict=True))


TABLES: Tables = {GiftContext: Table(save=insert_contexts)}


READ_GIFT = """
    SELECT t.*, p.value AS message, c.transaction_id AS reversal_id
      FROM transactions t
      LEFT JOIN personal_data p ON p.transaction_id = t.id
      LEFT JOIN claim c ON c.id = 'reversal:' || t.id
     WHERE t.id = $1 AND t.kind = 7 AND t.reason = 0
"""


async def read_gift(pool: Pool, transaction_id: str) -> SentGift | None:
    """An accepted gift, and what reversed it."""
    row = await pool.fetchrow(READ_GIFT, transaction_id)
    if row is None:
        return None
    reversal_id = str(row["reversal_id"] or "")
    return SentGift(transaction(row), row["message"] or "", reversal_id=reversal_id)


# 4: CREATOR_EARNINGS; a credit against it is a gift, a debit is a reversal.
LIST_RECEIVED = """
    SELECT t.*, p.value AS message, e.seq
      FROM entry e
      JOIN transactions t ON t.id = e.transaction_id
      LEFT JOIN personal_data p ON p.transaction_id = t.id
     WHERE e.owner_id = $1 AND e.unit = 2 AND e.seq < $2 AND e.system_account = 4 AND e.amount > 0
     ORDER BY e.seq DESC
     LIMIT $3
"""

LIST_RECEIVED_IN_CONTEXT = """
    SELECT t.*, p.value AS message, e.seq
      FROM gift_context g
      JOIN entry e ON e.owner_id = g.owner_id AND e.unit = 2 AND e.seq = g.seq
      JOIN transactions t ON t.id = e.transaction_id
      LEFT JOIN personal_data p ON p.transaction_id = t.id
     WHERE g.owner_id = $1 AND g.context = $4 AND g.seq < $2
     ORDER BY g.seq DESC
     LIMIT $3
"""

# 3: GIFT_SALES; a debit against it is a gift, a credit is a reversal.
LIST_SENT = """
    SELECT t.*, p.value AS message, e.seq
      FROM entry e
      JOIN transactions t ON t.id = e.transaction_id
      LEFT JOIN personal_data p ON p.transaction_id = t.id
     WHERE e.owner_id = $1 AND e.unit = 1 AND e.seq < $2 AND e.system_account = 3 AND e.amount < 0
     ORDER BY e.seq DESC
     LIMIT $3
"""


async def list_received(
    pool: Pool, owner_id: str, *, context: str, before: int, limit: int
) -> list[SentGift]:
    """Gifts received, newest first, below a seq of the diamond account."""
    if context:
        rows = await pool.fetch(LIST_RECEIVED_IN_CONTEXT, owner_id, before, limit, context)
    else:
        rows = await pool.fetch(LIST_RECEIVED, owner_id, before, limit)
    return [_listed(row) for row in rows]


async def list_sent(pool: Pool, owner_id: str, *, before: int, limit: int) -> list[SentGift]:
    """Gifts sent, newest first, below a seq of the coin account."""
    return [_listed(row) for row in await pool.fetch(LIST_SENT, owner_id, before, limit)]


def _listed(row: Any) -> SentGift:
    return SentGift(transaction(row), row["message"] or "", seq=row["seq"])
