"""A journal that is made to wait, so that what comes next has to queue."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from giftpay.client import Client
from giftpay.v1 import GetWalletRequest
from giftpay_server.postgres.pool import Pool

JOURNALS = """
    SELECT pid FROM pg_stat_activity
     WHERE application_name = 'giftpay-server journal' AND datname = current_database()
"""


@asynccontextmanager
async def blocked(pool: Pool) -> AsyncIterator[None]:
    """The sessions of the database's journals are frozen: no batch that is sent is answered.

    Not for long: the server gives such a session up after 10 s.
    """
    pids = [row["pid"] for row in await pool.fetch(JOURNALS)]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def round_trips(client: Client, owner_id: str) -> None:
    """Returns when the server has seen all that was sent on this connection before."""
    for _ in range(3):
        await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
