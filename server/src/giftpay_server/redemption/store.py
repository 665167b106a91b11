"""The SQL of redemptions and their payouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from giftpay.v1 import (
    REDEMPTION_STATE_CANCELLED,
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_RETURNED,
    REDEMPTION_STATE_UNSPECIFIED,
    WALLET_STATUS_ACTIVE,
    RedemptionState,
)

from giftpay_server.journal.columns import Columns
from giftpay_server.journal.sql import among
from giftpay_server.journal.store import Kept, Table, Tables
from giftpay_server.journal.writes import insert_money_movements
from giftpay_server.ledger.model import MoneyMovement
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.redemption.rules import RedemptionRow

FIELDS = [field.name for field in fields(RedemptionRow)]

REDEMPTION = Columns(
    "redemption_id uuid, owner_id text, state smallint, diamonds bigint, currency text,"
    " gross bigint, fee bigint, catalog_version integer, create_time timestamptz,"
    " update_time timestamptz, next_time timestamptz, submit_time timestamptz, calls integer,"
    " provider_key text, return_reason text"
)

LOAD_REDEMPTIONS = """
    SELECT r.*, coalesce(p.generation, -1) AS generation
      FROM redemption r
      LEFT JOIN shown_personal_data p ON p.transaction_id = r.redemption_id
     WHERE r.redemption_id = ANY($1::uuid[])
"""

ENDED = (REDEMPTION_STATE_RETURNED, REDEMPTION_STATE_CANCELLED)

# An ended redemption never changes: it is not updated, and then the count is too small.
SAVE_REDEMPTIONS = f"""
    INSERT INTO redemption AS r ({REDEMPTION.names})
    SELECT * FROM unnest({REDEMPTION.parameters()})
        ON CONFLICT (redemption_id) DO UPDATE
       SET state = excluded.state, update_time = excluded.update_time,
           next_time = excluded.next_time, submit_time = excluded.submit_time,
           calls = excluded.calls, provider_key = excluded.provider_key,
           return_reason = excluded.return_reason
     WHERE r.state NOT IN {among(ENDED)}
    RETURNING 1
"""


async def load_redemptions(connection: Connection, keys: Sequence[str]) -> Sequence[RedemptionRow]:
    """Redemptions by their ids."""
    return [_row(found) for found in await connection.fetch(LOAD_REDEMPTIONS, keys)]


async def save_redemptions(connection: Connection, rows: Sequence[RedemptionRow]) -> None:
    """New and changed redemptions; raises RuntimeError where one had ended before."""
    saved = await connection.fetch(SAVE_REDEMPTIONS, *REDEMPTION.arrays(rows))
    if len(saved) != len(rows):
        raise RuntimeError(f"{len(saved)} redemptions saved instead of {len(rows)}")


TABLES: Tables = {
    RedemptionRow: Table(load=load_redemptions, save=save_redemptions, kept=Kept.COMPANION),
    MoneyMovement: Table(save=insert_money_movements),
}


@dataclass(frozen=True, slots=True)
class StoredRedemption:
    """A redemption with what is stored of it in other tables."""

    row: RedemptionRow
    answer: bytes  # giftpay.v1.Redemption, as it was created
    destination: str  # empty once erased


READ_REDEMPTION = """
    SELECT r.*, coalesce(p.generation, -1) AS generation, t.answer, p.value AS destination
      FROM redemption r
      JOIN transactions t ON t.id = r.redemption_id
      LEFT JOIN shown_personal_data p ON p.transaction_id = r.redemption_id
     WHERE r.redemption_id = $1
"""


async def read_redemption(pool: Pool, redemption_id: str) -> StoredRedemption | None:
    """The current state of a redemption."""
    found = await pool.fetchrow(READ_REDEMPTION, redemption_id)
    return _stored(found) if found is not None else None


LIST_REDEMPTIONS = f"""
    SELECT r.*, coalesce(p.generation, -1) AS generation, t.answer, p.value AS destination
      FROM redemption r
      JOIN transactions t ON t.id = r.redemption_id
      LEFT JOIN shown_personal_data p ON p.transaction_id = r.redemption_id
     WHERE r.owner_id = $1 AND (r.create_time, r.redemption_id) < ($2, $3)
       AND ($4 = {REDEMPTION_STATE_UNSPECIFIED} OR r.state = $4)
     ORDER BY r.create_time DESC, r.redemption_id DESC
     LIMIT $5
"""


async def list_redemptions(
    pool: Pool,
    owner_id: str,
    *,
    state: RedemptionState.ValueType,
    before: tuple[datetime, str],
    limit: int,
) -> list[StoredRedemption]:
    """An owner's redemptions, newest first, older than one of this time and id; state 0 is any."""
    found = await pool.fetch(LIST_REDEMPTIONS, owner_id, *before, state, limit)
    return [_stored(each) for each in found]


class Due(NamedTuple):
    """A redemption for which the provider is to be called now."""

    redemption_id: str
    owner_id: str
    call: int  # its number
    due_time: datetime

    @property
    def key(self) -> str:
        """The redemption: its calls are made one after another."""
        return self.redemption_id


READ_DUE = """
    SELECT redemption_id, owner_id, calls + 1 AS call, next_time, state
      FROM redemption
     WHERE next_time <= $1 AND (next_time, redemption_id) > ($2, $3)
     ORDER BY next_time, redemption_id
     LIMIT $4
"""
FIRST = (datetime(1970, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000")

READ_ACTIVE = f"""
    SELECT owner_id FROM owner WHERE owner_id = ANY($1::text[]) AND status = {WALLET_STATUS_ACTIVE}
"""


async def read_due(pool: Pool, now: datetime, *, limit: int) -> list[Due]:
    """The due redemptions, the longest due first, without HELD ones of wallets that are not active.

    There may be more than `limit` of those, so they are skipped page by page.
    """
    due: list[Due] = []
    after = FIRST
    while len(due) < limit:
        page = await pool.fetch(READ_DUE, now, *after, limit)
        due += await _payable(pool, page)
        if len(page) < limit:
            break
        after = (page[-1]["next_time"], page[-1]["redemption_id"])
    return due[:limit]


async def _payable(pool: Pool, page: Sequence[Any]) -> list[Due]:
    held = {found["owner_id"] for found in page if found["state"] == REDEMPTION_STATE_HELD}
    found_active = await pool.fetch(READ_ACTIVE, list(held)) if held else []
    waiting = held - {found["owner_id"] for found in found_active}
    return [
        Due(
            redemption_id=str(found["redemption_id"]),
            owner_id=found["owner_id"],
            call=found["call"],
            due_time=found["next_time"],
        )
        for found in page
        if found["state"] != REDEMPTION_STATE_HELD or found["owner_id"] not in waiting
    ]


def _stored(found: Any) -> StoredRedemption:
    return StoredRedemption(_row(found), found["answer"], found["destination"] or "")


def _row(found: Any) -> RedemptionRow:
    row = {name: found[name] for name in FIELDS}
    return RedemptionRow(**{**row, "redemption_id": str(found["redemption_id"])})
