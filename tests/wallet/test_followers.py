"""Many followers of one account share one reader; each gets every entry once and in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from asyncpg.connection import LoggedQuery
from giftpay.client import Client, connect
from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, WatchEntriesRequest
from giftpay_server.app import Running, serving
from giftpay_server.journal.feed import Feed
from giftpay_server.postgres.pool import create_pool
from giftpay_server.wallet import followers, frames
from giftpay_server.wallet.store import LIST_NEW, READ_ASKED
from giftpay_server.wire.lane import PART

from tests.conftest import MovableClock, OpenWallet
from tests.journal.drafts import moved
from tests.wallet.conftest import adjust, give, impatient_server

PATIENCE_S = 30.0  # far more than anything here takes
ENTRIES = 600


@dataclass(frozen=True)
class CacheBounds:
    """The bounds of the frame cache."""

    bytes_max: int
    age_max_s: float


CACHES = {
    "everything is cached": CacheBounds(2**24, 2.0),
    "a little is cached": CacheBounds(5_000, 2.0),
    "nothing is cached": CacheBounds(0, 2.0),
    "everything expires soon": CacheBounds(2**24, 0.01),
}


@pytest.mark.parametrize("memory", CACHES)
async def test_followers_that_come_and_go_get_every_entry_once_and_in_order(
    server: Running,
    client: Client,
    open_wallet: OpenWallet,
    monkeypatch: pytest.MonkeyPatch,
    clock: MovableClock,
    memory: str,
) -> None:
    monkeypatch.setattr(frames, "BYTES_MAX", CACHES[memory].bytes_max)
    monkeypatch.setattr(frames, "AGE_MAX_S", CACHES[memory].age_max_s)
    ben, chance = await open_wallet(), random.Random(memory)
    async with (
        serving(server.parts.config, clock=clock) as other,
        connect(other.address) as neighbour,
        asyncio.timeout(PATIENCE_S),
        asyncio.TaskGroup() as group,
    ):
        for _ in range(20):
            group.create_task(follow(chance.choice((client, neighbour)), ben, chance))
        group.create_task(book(client, open_wallet, ben, chance))


async def follow(client: Client, owner_id: str, chance: random.Random) -> None:
    """Follows from the beginning to the end, and resumes now and then."""
    seen = 0
    while seen < ENTRIES:
        await asyncio.sleep(chance.uniform(0, 0.2))
        leaves_at = seen + chance.choice((1, 50, ENTRIES))
        request = WatchEntriesRequest(owner_id=owner_id, unit=UNIT_DIAMOND, after_seq=seen)
        stream: Any = client.wallets.WatchEntries(request)
        async with aclosing(stream):
            async for part in stream:
                seqs = [entry.seq for entry in part.entries]
                assert seqs == list(range(seen + 1, seen + 1 + len(seqs)))
                seen += len(seqs)
                assert part.last_seq == seen
                if seen >= min(leaves_at, ENTRIES):
                    break


async def book(
    client: Client, open_wallet: OpenWallet, owner_id: str, chance: random.Random
) -> None:
    anna, booked = await open_wallet(coins=ENTRIES), 0
    while booked < ENTRIES:
        count = min(chance.choice((1, 1, 3, 40, 250)), ENTRIES - booked)
        await give(client, anna, owner_id, messages=["x" * chance.choice((0, 200))] * count)
        booked += count


@dataclass(frozen=True)
class Counted:
    """A client of a server that no journal wakes, and the server's statements."""

    client: Client
    feed: Feed
    statements: list[str]


@asynccontextmanager
async def counted(server: Running) -> AsyncIterator[Counted]:
    statements: list[str] = []

    def note(query: LoggedQuery) -> None:
        statements.append(query.query)

    feed = Feed()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            create_pool(server.parts.config.database_url, size=1)
        )
        async with pool.acquire() as connection:
            connection.add_query_logger(note)
        parts = replace(server.parts, pool=pool)
        address = await stack.enter_async_context(impatient_server(parts, feed, heartbeat_s=10))
        calling = await stack.enter_async_context(connect(address))
        yield Counted(calling, feed, statements)


@pytest.mark.parametrize("crowd", [1, 50])
async def test_a_wake_is_one_read_for_any_number_of_followers(
    server: Running, client: Client, open_wallet: OpenWallet, crowd: int
) -> None:
    anna = await open_wallet(coins=1)
    async with counted(server) as counting, AsyncExitStack() as stack:
        streams: list[Any] = []
        for _ in range(crowd):
            request = WatchEntriesRequest(owner_id=anna, unit=UNIT_COIN)
            stream: Any = counting.client.wallets.WatchEntries(request)
            streams.append(await stack.enter_async_context(aclosing(stream)))
        await asyncio.gather(*map(anext, streams))
        for amount in (2, 3, 4):
            await adjust(client, anna, UNIT_COIN, amount)
            counting.statements.clear()
            counting.feed.announce(moved(anna))
            parts = await asyncio.gather(*map(anext, streams))
            assert [[entry.amount for entry in part.entries] for part in parts] == [
                [amount]
            ] * crowd
            assert counting.statements.count(LIST_NEW) == 1
            assert counting.statements.count(READ_ASKED) == 1


async def test_existing_entries_are_read_once_for_many_followers(
    server: Running, client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=300), await open_wallet()
    await give(client, anna, ben, messages=[""] * 300)
    async with counted(server) as counting, AsyncExitStack() as stack:
        streams: list[Any] = []
        for _ in range(30):
            request = WatchEntriesRequest(owner_id=ben, unit=UNIT_DIAMOND)
            stream: Any = counting.client.wallets.WatchEntries(request)
            streams.append(await stack.enter_async_context(aclosing(stream)))
        await asyncio.gather(*(until(stream, 300) for stream in streams))
        assert counting.statements.count(READ_ASKED) <= 300 / PART + 1


async def until(stream: Any, last_seq: int) -> None:
    async for part in stream:
        if part.last_seq == last_seq:
            return


async def test_accounts_are_polled_by_one_query_and_only_changed_ones_are_read(
    server: Running, client: Client, open_wallet: OpenWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "SWEEP_REST_S", 0.05)
    monkeypatch.setattr(followers, "SWEEP_S", 0.1)
    owners = [await open_wallet(coins=1) for _ in range(10)]
    async with counted(server) as counting, AsyncExitStack() as stack:
        streams: list[Any] = []
        for owner_id in owners:
            request = WatchEntriesRequest(owner_id=owner_id, unit=UNIT_COIN)
            stream: Any = counting.client.wallets.WatchEntries(request)
            streams.append(await stack.enter_async_context(aclosing(stream)))
        await asyncio.gather(*map(anext, streams))
        counting.statements.clear()
        await adjust(client, owners[3], UNIT_COIN, 2)
        assert (await anext(streams[3])).last_seq == 2  # found by polling
        assert counting.statements.count(LIST_NEW) == 1
