"""Journals on a real Postgres, and the plainest command for them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    AdjustBalanceRequest,
)
from giftpay_server.catalog.store import Catalogs
from giftpay_server.config import Limits
from giftpay_server.journal.feed import Feed
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.store import Tables
from giftpay_server.ledger.model import Books, Command, Decision, Grant, Leg, LotKind, Posted
from giftpay_server.ledger.movements import Movements
from giftpay_server.postgres.clock import ClockWatch
from giftpay_server.postgres.pool import Pool, connector, create_pool
from giftpay_server.slices import REGISTRY

from tests.ledger.movements import HOLDS
from tests.stories.blocking import blocked

# On a slow machine full batches wait longer than a caller would; only test_bounds.py minds.
PATIENT = Limits(wait_max_s=60)


@asynccontextmanager
async def running_journal(
    dsn: str,
    *,
    limits: Limits = PATIENT,
    clock: Callable[[], datetime] | None = None,
    clock_skew_max_s: float = 5,
    tables: Tables | None = None,
    movements: Movements = REGISTRY.movements,
) -> AsyncIterator[Journal]:
    async with create_pool(dsn, size=3) as pool:
        journal = Journal(
            pool,
            Feed(),
            connect=connector(dsn),
            clock=clock or (lambda: datetime.now(UTC)),
            catalog_at=Catalogs().known_as,
            tables={**REGISTRY.tables, **HOLDS, **(tables or {})},
            movements=movements,
            limits=limits,
            clock_watch=ClockWatch(connector(dsn), bound_s=clock_skew_max_s),
        )
        task = asyncio.create_task(journal.run())
        try:
            yield journal
        finally:
            journal.drain()
            await task


OPEN = """
    WITH new_account AS (
        INSERT INTO account (owner_id, unit)
        SELECT o, u FROM unnest($1::text[]) o, generate_series(1, 2) u
    )
    INSERT INTO owner SELECT o, 1, 'DE', NULL, now() FROM unnest($1::text[]) o
"""


async def open_wallets(admin: Pool, owner_ids: Sequence[str]) -> None:
    """Wallets with nothing in them."""
    await admin.execute(OPEN, owner_ids)


def adjust(owner_id: str, amount: int, *, key: str = "") -> Command:
    """An adjustment of coins that asks no rule whether they are there."""
    command_id = key or str(uuid.uuid4())
    grant = Grant(LotKind.ADJUSTMENT, command_id) if amount > 0 else None

    def decide(books: Books) -> Decision:
        return Posted(legs=(Leg(owner_id, UNIT_COIN, amount, SYSTEM_ACCOUNT_ADJUSTMENT, grant),))

    return Command(
        id=command_id,
        caller="test",
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=AdjustBalanceRequest(owner_id=owner_id, unit=UNIT_COIN, amount=amount),
        accounts=((owner_id, UNIT_COIN),),
        decide=decide,
    )


@asynccontextmanager
async def frozen(journal: Journal, admin: Pool, owner_id: str) -> AsyncIterator[None]:
    """No session of a journal goes on meanwhile: what is sent to Postgres is not answered."""
    await journal.record(adjust(owner_id, 1))  # so that there is a session
    async with blocked(admin):
        yield


async def balance(admin: Pool, owner_id: str) -> int:
    sql = "SELECT balance FROM account WHERE owner_id = $1 AND unit = 1"
    return int(await admin.fetchval(sql, owner_id))
