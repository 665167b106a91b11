"""Deletes erased personal data, which is already hidden, in short transactions.

Any number of workers may run in any number of processes: deleting is idempotent, and an erasure
ends when none of its rows is left. If a worker dies, the others do the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from giftpay_server.admin.rules import Erasure
from giftpay_server.admin.store import delete_personal, end_erasure, list_erasures, list_hidden
from giftpay_server.postgres.pool import Pool

CHUNK = 1_000  # rows deleted in one transaction
# Read at once, since each read scans past the dead rows of those deleted before.
CHUNKS_MAX = 20


class ErasureWorker:
    """Works on erasures, some chunks at a time."""

    name = "erasures"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, now: datetime, limit: int) -> Sequence[Erasure]:
        """The erasures that have not ended, the oldest first."""
        return await list_erasures(self._pool, limit=limit)

    async def process(self, item: Erasure) -> bool:
        """Deletes some chunks, and ends the erasure if that was all."""
        hidden = await list_hidden(self._pool, item, limit=CHUNKS_MAX * CHUNK)
        for start in range(0, len(hidden), CHUNK):
            await delete_personal(self._pool, hidden[start : start + CHUNK])
        if len(hidden) < CHUNKS_MAX * CHUNK:
            await end_erasure(self._pool, item)
        return True
