"""Counts the pending orders, which keep a wallet from being closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from giftpay.v1 import TOP_UP_STATE_PENDING

from giftpay_server.journal.store import Table, Tables
from giftpay_server.postgres.pool import Connection


class PendingTopUps(NamedTuple):
    """The number of an owner's pending top-ups."""

    owner_id: str
    open: int

    @property
    def key(self) -> str:
        return self.owner_id


COUNT_PENDING_TOP_UPS = f"""
    SELECT owner_id, count(*) AS open
      FROM top_up
     WHERE owner_id = ANY($1::text[]) AND state = {TOP_UP_STATE_PENDING}
     GROUP BY owner_id
"""


async def count_pending_top_ups(
    connection: Connection, keys: Sequence[str]
) -> Sequence[PendingTopUps]:
    """The pending top-ups of each of these owners."""
    rows = await connection.fetch(COUNT_PENDING_TOP_UPS, keys)
    counted = {row["owner_id"]: row["open"] for row in rows}
    return [PendingTopUps(owner_id, counted.get(owner_id, 0)) for owner_id in keys]


TABLES: Tables = {PendingTopUps: Table(load=count_pending_top_ups)}
