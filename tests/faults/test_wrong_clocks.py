"""A server with a wrong clock refuses commands until its clock is right again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import giftpay
import pytest
from giftpay.client import Client

from tests.faults.attempts import assert_unavailable, attempt, is_ready, until
from tests.faults.clocks import movable_clock, wrong_clock
from tests.faults.crowds import COINS, rose
from tests.stories.evening import evening
from tests.stories.processes import ServerProcess, server_process
from tests.stories.wallets import apply_catalog, is_decided, open_wallet, prove_books

SKEW_MAX = "5 s"  # GIFTPAY_CLOCK_SKEW_MAX_S unless it is set
NOTICE_S = 20  # in which a clock that jumps is noticed, generously
STILL_S = 2
CALL_S = 5  # of a client that repeats a call meanwhile

# All but when a payout is next due, which lies in the future by its nature.
LATEST = r"""
    SELECT format('SELECT %L AS name, max(%I) AS latest FROM %I',
                  table_name || '.' || column_name, column_name, table_name)
      FROM information_schema.columns
     WHERE table_schema = current_schema AND data_type = 'timestamp with time zone'
       AND column_name <> 'next_time'
"""
AHEAD = "SELECT name FROM ({latest}) AS l WHERE latest > clock_timestamp() + '{skew}'::interval"


@dataclass(frozen=True, slots=True)
class Books:
    """A database, and a client of a server over it that has the right clock."""

    dsn: str
    client: Client

    async def assert_none_lie_ahead(self) -> None:
        """No row bears a time that is yet to come."""
        connection = await asyncpg.connect(self.dsn)
        columns = [row[0] for row in await connection.fetch(LATEST)]
        query = AHEAD.format(latest=" UNION ALL ".join(columns), skew=SKEW_MAX)
        ahead = [row[0] for row in await connection.fetch(query)]
        await connection.close()
        assert len(columns) > 10
        assert not ahead


@pytest.fixture(scope="module")
async def books(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Books]:
    dsn = await new_database()
    async with server_process(DATABASE_URL=dsn) as right, giftpay.connect(right.address) as client:
        await apply_catalog(client)
        yield Books(dsn, client)


@pytest.mark.parametrize("offset", ["+10y", "+1h", "-10m"])
async def test_a_server_that_starts_with_a_wrong_clock_decides_nothing(
    books: Books, offset: str
) -> None:
    gift = rose(await open_wallet(books.client, coins=COINS), await open_wallet(books.client))
    async with server_process(wrong_clock(offset), DATABASE_URL=books.dsn) as wrong:
        ended = await attempt(wrong.address, gift, timeout_s=CALL_S)
        await books.assert_none_lie_ahead()
        assert_unavailable(ended)
        assert not await is_decided(books.client, gift)
        assert not await is_ready(wrong.address)
        assert "clock" in wrong.log()
    assert not (await books.client.gifts.SendGift(gift)).replayed
    assert (await books.client.gifts.SendGift(gift)).replayed
    await prove_books(books.client)


@pytest.mark.parametrize("offset", ["+1h", "-10m"])
async def test_a_server_whose_clock_jumps_decides_nothing_until_it_is_right_again(
    books: Books, offset: str, tmp_path: Path
) -> None:
    async with jumping_server(books, tmp_path / "clock") as (server, client, jump):
        gifts = await evening(client, deadline_s=CALL_S)
        async with gifts.under_way(client):
            await gifts.until_answered(100)
            jump(offset)
            await until_ready(server, False)
            await asyncio.sleep(STILL_S)  # for what it had decided just before
            answered = len(gifts.answered)
            await asyncio.sleep(STILL_S)
            assert len(gifts.answered) == answered
            jump("+0")
            await until_ready(server, True)
            await gifts.until_answered(100)
        await books.assert_none_lie_ahead()
        assert "clock" in server.log()
        await gifts.prove(client)


Jump = Callable[[str], None]


@asynccontextmanager
async def jumping_server(
    books: Books, file: Path
) -> AsyncIterator[tuple[ServerProcess, Client, Jump]]:
    """A server whose clock is right until it jumps."""

    def jump(offset: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(offset)
        new.replace(file)  # never seen half written

    jump("+0")
    async with (
        server_process(movable_clock(file), DATABASE_URL=books.dsn) as server,
        giftpay.connect(server.address, timeout=CALL_S) as client,
    ):
        yield server, client, jump


async def until_ready(server: ServerProcess, wanted: bool) -> None:
    """Waits until the server is ready, or is not."""

    async def is_so() -> bool:
        return await is_ready(server.address) is wanted

    await until(is_so, within_s=NOTICE_S)
