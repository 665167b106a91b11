"""Reads of a long history read a few rows, whatever its length, and the right ones."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import cast

import asyncpg
import pytest
from giftpay.v1 import UNIT_COIN
from giftpay_server.postgres.pool import Connection, Pool, create_pool
from giftpay_server.wallet.store import (
    list_after,
    list_before,
    list_new,
    read_asked,
    read_wallet_at,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LENGTH = 20_000
PAGE = 51
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
RUNS = 8  # the first five plans are made for the values at hand, later ones need not be

MAKE_OWNER = """
    INSERT INTO owner (owner_id, status, country, create_time) VALUES ($1, 1, 'DE', $2)
"""

MAKE_ACCOUNTS = """
    INSERT INTO account (owner_id, unit, seq, balance) VALUES ($1, 1, $2, $3), ($1, 2, 0, 0)
"""

MAKE_ENTRIES = """
    INSERT INTO entry (owner_id, unit, seq, amount, balance, create_time, transaction_id,
                       system_account)
    SELECT $1, 1, n, 1, balance, $2::timestamptz + second * interval '1 second',
           gen_random_uuid(), 8
      FROM unnest($3::integer[], $4::bigint[]) WITH ORDINALITY AS e (second, balance, n)
"""

MAKE_TRANSACTIONS = """
    INSERT INTO transactions (id, caller, kind, reason, catalog_version, entries, request, answer,
                              create_time)
    SELECT transaction_id, 'local', 11, 0, 0, '', '', '', create_time
      FROM entry
     WHERE owner_id = $1
"""

ROWS_READ = """
    SELECT sum(seq_tup_read + idx_tup_fetch)
      FROM pg_stat_xact_user_tables
     WHERE relname IN ('entry', 'transactions')
"""


@pytest.fixture(scope="module")
async def database(new_database: Callable[[], Awaitable[str]]) -> str:
    return await new_database()


@pytest.fixture(scope="module")
async def maker(database: str) -> AsyncIterator[Connection]:
    """The owner of the schema."""
    connection = await asyncpg.connect(database)
    # Statistics come when a test asks for them, not when a daemon does.
    for table in ("entry", "transactions", "account"):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def reader(database: str) -> AsyncIterator[Pool]:
    """A connection as the server has them."""
    async with create_pool(database, size=1) as pool:
        yield pool


@pytest.fixture(scope="module")
async def history(maker: Connection, reader: Pool) -> None:
    """Of the owner `long`. It grew while the reader was connected: its plans are from before."""
    for read in [*READS.values()] * RUNS:
        await read(reader)
    await make_history(maker, "long", list(range(LENGTH)))
    await maker.execute(MAKE_TRANSACTIONS, "long")


async def make_history(maker: Connection, owner_id: str, seconds: list[int]) -> None:
    """One coin at each of the seconds, which do not decrease."""
    balances = list(range(1, len(seconds) + 1))
    await maker.execute(MAKE_OWNER, owner_id, BEGINNING)
    await maker.execute(MAKE_ACCOUNTS, owner_id, len(seconds), len(seconds))
    await maker.execute(MAKE_ENTRIES, owner_id, BEGINNING, seconds, balances)


def after(seconds: float) -> datetime:
    return BEGINNING + timedelta(seconds=seconds)


READS: dict[str, Callable[[Pool], Awaitable[object]]] = {
    "newest": lambda pool: list_before(pool, ("long", UNIT_COIN), seq=2**63 - 1, limit=PAGE),
    "middle": lambda pool: list_before(pool, ("long", UNIT_COIN), seq=LENGTH // 2, limit=PAGE),
    "oldest": lambda pool: list_after(pool, ("long", UNIT_COIN), seq=0, limit=PAGE),
    "news": lambda pool: list_new(pool, ("long", UNIT_COIN), seq=LENGTH - 1, limit=501),
    "latest": lambda pool: list_after(pool, ("long", UNIT_COIN), seq=LENGTH - 1, limit=501),
    "as of": lambda pool: read_wallet_at(pool, "long", after(LENGTH / 3)),
    "as of the first": lambda pool: read_wallet_at(pool, "long", after(0)),
    "reversed gifts": lambda pool: read_asked(pool, [str(uuid.UUID(int=n)) for n in range(20)]),
    "as of the last": lambda pool: read_wallet_at(pool, "long", after(2 * LENGTH)),
}


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("analyzed", [False, True], ids=["without statistics", "with statistics"])
async def test_no_read_goes_through_the_history(
    maker: Connection, reader: Pool, read: str, analyzed: bool
) -> None:
    if analyzed:
        await maker.execute("ANALYZE")
    async with reader.acquire() as connection, connection.transaction():
        before = await connection.fetchval(ROWS_READ)
        for _ in range(RUNS):
            await READS[read](cast(Pool, connection))
        rows = await connection.fetchval(ROWS_READ) - before
    assert rows <= RUNS * PAGE * 3


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 1, 2, 5]), max_size=40),
    ask=st.floats(-2, 120, allow_nan=False),
)
async def test_as_of_any_time_is_what_had_been_booked_by_then(
    maker: Connection, reader: Pool, gaps: list[int], ask: float
) -> None:
    owner_id, seconds = uuid.uuid4().hex, list(accumulate(gaps))
    await make_history(maker, owner_id, seconds)
    found = await read_wallet_at(reader, owner_id, after(ask))
    assert found is not None
    booked = sum(after(second) <= after(ask) for second in seconds)
    assert (found.coins.balance, found.coins.seq) == (booked, booked)
    assert (found.diamonds.balance, found.diamonds.seq) == (0, 0)
