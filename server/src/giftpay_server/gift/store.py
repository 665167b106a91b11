"""The SQL of reading gifts, and of their contexts; the journal writes the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from giftpay.v1 import (
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    UNIT_DIAMOND,
)

from giftpay_server.gift.rules import GiftContext
from giftpay_server.gift.rules_reversal import reversal_claim
from giftpay_server.journal.columns import Columns
from giftpay_server.journal.sql import POSTED
from giftpay_server.journal.store import Table, Tables, transaction
from giftpay_server.ledger.model import Transaction
from giftpay_server.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class SentGift:
    """A posted gift as it is stored."""

    transaction: Transaction
    message: str
    seq: int = 0  # of the entry by which it was found
    reversal_id: str = ""


CONTEXT = Columns("owner_id text, context text, seq bigint")

INSERT_CONTEXTS = f"""
    INSERT INTO gift_context ({CONTEXT.names})
    SELECT * FROM unnest({CONTEXT.parameters()})
"""


async def insert_contexts(connection: Connection, rows: Sequence[GiftContext]) -> None:
    """Inserts contexts of gifts."""
    await connection.execute(INSERT_CONTEXTS, *CONTEXT.arrays(rows))


TABLES: Tables = {GiftContext: Table(save=insert_contexts)}


# Filtered by kind, since other kinds may be booked against the same system accounts.
READ_GIFTS = f"""
    SELECT t.*, p.value AS message
      FROM transactions t
      LEFT JOIN shown_personal_data p ON p.transaction_id = t.id
     WHERE t.id = ANY($1::uuid[]) AND t.kind = {TRANSACTION_KIND_GIFT} AND t.reason = {POSTED}
"""

# Reversals are found by their claims.
READ_REVERSALS = """
    SELECT id, transaction_id FROM claim WHERE id = ANY($1::text[])
"""


async def read_gifts(connection: Connection, ids: Sequence[str]) -> dict[str, SentGift]:
    """Posted gifts by their ids, with their reversals; other ids are left out."""
    found = await connection.fetch(READ_GIFTS, ids) if ids else ()
    claims = [reversal_claim(str(row["id"])) for row in found]
    reversals = await connection.fetch(READ_REVERSALS, claims) if claims else ()
    reversal_ids = {row["id"]: str(row["transaction_id"]) for row in reversals}
    return {str(row["id"]): _sent(row, reversal_ids) for row in found}


def _sent(row: Any, reversal_ids: Mapping[str, str]) -> SentGift:
    reversal_id = reversal_ids.get(reversal_claim(str(row["id"])), "")
    return SentGift(transaction(row), row["message"] or "", reversal_id=reversal_id)


async def read_gift(pool: Pool, transaction_id: str) -> SentGift | None:
    """A posted gift with its reversal."""
    async with pool.acquire() as connection:
        return (await read_gifts(connection, [transaction_id])).get(transaction_id)


# A page is read in steps: first the owner's entries, then their transactions by id (no join, see
# tests/sql). Only the transaction shows whether an entry is of a gift.
LIST_RECEIVED = f"""
    SELECT seq, transaction_id
      FROM entry
     WHERE owner_id = $1 AND unit = {UNIT_DIAMOND} AND seq < $2
       AND system_account = {SYSTEM_ACCOUNT_CREATOR_EARNINGS} AND amount > 0
     ORDER BY seq DESC
     LIMIT $3
"""

LIST_RECEIVED_IN_CONTEXT = f"""
    SELECT e.seq, e.transaction_id
      FROM gift_context g
      JOIN entry e ON e.owner_id = g.owner_id AND e.unit = {UNIT_DIAMOND} AND e.seq = g.seq
     WHERE g.owner_id = $1 AND g.context = $4 AND g.seq < $2
     ORDER BY g.seq DESC
     LIMIT $3
"""

LIST_SENT = f"""
    SELECT seq, transaction_id
      FROM entry
     WHERE owner_id = $1 AND unit = {UNIT_COIN} AND seq < $2
       AND system_account = {SYSTEM_ACCOUNT_GIFT_SALES} AND amount < 0
     ORDER BY seq DESC
     LIMIT $3
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


CHUNK = 200  # entries read at once


async def _listed(
    pool: Pool, statement: str, owner_id: str, before: int, limit: int, *context: str
) -> list[SentGift]:
    listed: list[SentGift] = []
    size = limit  # at first: usually all of them are gifts
    async with pool.acquire() as connection:
        while len(listed) < limit:
            entries = await connection.fetch(statement, owner_id, before, size, *context)
            gifts = await read_gifts(connection, [str(row["transaction_id"]) for row in entries])
            listed += _in_order(entries, gifts)
            if len(entries) < size:
                break
            before, size = entries[-1]["seq"], CHUNK
    return listed[:limit]


def _in_order(entries: Sequence[Any], gifts: Mapping[str, SentGift]) -> Iterator[SentGift]:
    for entry in entries:
        if gift := gifts.get(str(entry["transaction_id"])):
            yield replace(gift, seq=entry["seq"])
