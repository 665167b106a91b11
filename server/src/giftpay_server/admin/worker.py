"""Removes what was erased: rows that nobody is shown any more, in slices beside the journal.

Any number of workers may run, in any number of processes: a row is removed once, whoever does it,
and an erasure ends when none of its rows is left. A worker that dies leaves the rest to the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from giftpay_server.admin.rules import Erasure
from giftpay_server.admin.store import delete_personal, end_erasure, list_erasures, list_hidden
from giftpay_server.postgres.pool import Pool

SLICE = 1_000  # rows in one short transaction
# Read at once: whoever looks for an owner's rows passes over those removed before.
SLICES_MAX = 20


class ErasureWorker:
    """Attends to erasures, some slices at a time."""

    name = "erasures"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, now: datetime, limit: int) -> Sequence[Erasure]:
        """The erasures that have not ended, the oldest first."""
        return await list_erasures(self._pool, limit=limit)

    async def attend(self, item: Erasure) -> bool:
        """Removes some slices, and ends the erasure if that was all."""
        hidden = await list_hidden(self._pool, item, limit=SLICES_MAX * SLICE)
        for start in range(0, len(hidden), SLICE):
            await delete_personal(self._pool, hidden[start : start + SLICE])
        if len(hidden) < SLICES_MAX * SLICE:
            await end_erasure(self._pool, item)
        return True
