"""The SQL of gifts: sending is the ledger's, reading joins it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from giftpay_server.gift.rules import GiftContext
from giftpay_server.journal.store import Table, Tables, transaction
from giftpay_server.ledger.model import Transaction
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
    SELECT t.*, p.value AS message
      FROM transactions t
      LEFT JOIN shown_personal_data p ON p.transaction_id = t.id
     WHERE t.id = $1 AND t.kind = 7 AND t.reason = 0
"""

READ_REVERSAL = """
    SELECT transaction_id FROM claim WHERE id = $1
"""


async def read_gift(pool: Pool, transaction_id: str) -> SentGift | None:
    """An accepted gift, and what reversed it."""
    async with pool.acquire() as connection:
        row = await connection.fetchrow(READ_GIFT, transaction_id)
        if row is None:
            return None
        reversal_id = await connection.fetchval(READ_REVERSAL, f"reversal:{transaction_id}")
    return SentGift(transaction(row), row["message"] or "", reversal_id=str(reversal_id or ""))


# A page in two steps: entries lie with their owner, transactions by their id.
# 4: CREATOR_EARNINGS; a credit against it is a gift, a debit is a reversal.
LIST_RECEIVED = """
    SELECT seq, transaction_id
      FROM entry
     WHERE owner_id = $1 AND unit = 2 AND seq < $2 AND system_account = 4 AND amount > 0
     ORDER BY seq DESC
     LIMIT $3
"""

LIST_RECEIVED_IN_CONTEXT = """
    SELECT e.seq, e.transaction_id
      FROM gift_context g
      JOIN entry e ON e.owner_id = g.owner_id AND e.unit = 2 AND e.seq = g.seq
     WHERE g.owner_id = $1 AND g.context = $4 AND g.seq < $2
     ORDER BY g.seq DESC
     LIMIT $3
"""

# 3: GIFT_SALES; a debit against it is a gift, a credit is a reversal.
LIST_SENT = """
    SELECT seq, transaction_id
      FROM entry
     WHERE owner_id = $1 AND unit = 1 AND seq < $2 AND system_account = 3 AND amount < 0
     ORDER BY seq DESC
     LIMIT $3
"""

READ_LISTED = """
    SELECT t.*, p.value AS message
      FROM transactions t
      LEFT JOIN shown_personal_data p ON p.transaction_id = t.id
     WHERE t.id = ANY($1::uuid[])
"""


async def list_received(
    pool: Pool, owner_id: str, *, context: str, before: int, limit: int
) -> list[SentGift]:
    """Gifts received, newest first, below a seq of the diamond account."""
    if context:
        return await _listed(pool, LIST_RECEIVED_IN_CONTEXT, owner_id, before, limit, context)
    return await _listed(pool, LIST_RECEIVED, owner_id, before, limit)


async def list_sent(pool: Pool, owner_id: str, *, before: int, limit: int) -> list[SentGift]:
    """Gifts sent, newest first, below a seq of the coin account."""
    return await _listed(pool, LIST_SENT, owner_id, before, limit)


async def _listed(pool: Pool, statement: str, *page: Any) -> list[SentGift]:
    async with pool.acquire() as connection:
        entries = await connection.fetch(statement, *page)
        ids = [entry["transaction_id"] for entry in entries]
        found = await connection.fetch(READ_LISTED, ids) if ids else ()
    gifts = {row["id"]: row for row in found}
    return [_listed_gift(gifts[entry["transaction_id"]], entry["seq"]) for entry in entries]


def _listed_gift(row: Any, seq: int) -> SentGift:
    return SentGift(transaction(row), row["message"] or "", seq=seq)
