"""The hints of other servers: what becomes of them where the database is away or has none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from giftpay.v1 import UNIT_COIN
from giftpay_server.journal import feed as feeds
from giftpay_server.journal.feed import Feed
from giftpay_server.ledger.model import Account, Draft
from giftpay_server.postgres.pool import Connect, Connection, connector

from tests.journal.drafts import moved

MOVED = moved("anna")
ATTEMPTS = 4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(feeds, "RECONNECT_S", 0.01)
    caplog.set_level(logging.INFO, feeds.__name__)


@asynccontextmanager
async def listening(feed: Feed, connect: Connect) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(feed.listen(connect))
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_where_notify_is_refused_it_is_said_once(
    new_database: Callable[[], Awaitable[str]], caplog: pytest.LogCaptureFixture
) -> None:
    dsn = await new_database()
    maker = await asyncpg.connect(dsn)
    await maker.execute("REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC")
    await maker.close()
    feed = Feed()
    async with listening(feed, connector(dsn)) as task:
        feed.announce(MOVED)
        await asyncio.wait_for(task, 10)
    (said,) = caplog.messages
    assert said.startswith("no hints between servers, readers poll: ")
    with feed.watching("anna") as woken:  # here nobody depends on them
        feed.announce(MOVED)
        assert woken.is_set()


async def test_of_a_connection_that_comes_and_goes_each_change_is_said(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    sessions: asyncio.Queue[Connection] = asyncio.Queue()

    async def connect() -> Connection:
        session = await connector(dsn)()
        sessions.put_nowait(session)
        return session

    feed, other = Feed(), Feed()
    async with listening(feed, connect), listening(other, connector(dsn)):
        await hint_arrives(feed, other)
        (await sessions.get()).terminate()
        await sessions.get()  # another was opened
        await hint_arrives(feed, other)
    off, on = caplog.messages
    assert off.startswith("the hints of other servers are off, readers poll: ")
    assert on == "the hints of other servers are on again"


async def test_a_connection_that_ends_while_it_is_opened_is_opened_again(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Exception] = [asyncpg.InternalClientError("another operation is in progress")]

    async def connect() -> Connection:
        if answers:
            raise answers.pop()
        return await connector(dsn)()

    feed, other = Feed(), Feed()
    async with listening(feed, connect), listening(other, connector(dsn)):
        await asyncio.wait_for(hint_arrives(feed, other), 10)
    assert len(caplog.messages) == 2


async def test_who_has_no_new_entry_is_not_woken() -> None:
    feed = Feed()
    refused = Draft(accounts={("anna", UNIT_COIN): Account("anna", UNIT_COIN)})
    with feed.watching("anna") as woken:
        feed.announce(refused)
        assert not woken.is_set()
        feed.announce(MOVED)
        assert woken.is_set()


async def test_more_owners_than_a_hint_can_name_are_hinted_without_their_names(dsn: str) -> None:
    feed, other = Feed(), Feed()
    names = [f"owner-{number:06d}" for number in range(feeds.HINT_MAX // 10)]
    async with listening(feed, connector(dsn)), listening(other, connector(dsn)):
        await asyncio.wait_for(hint_arrives(feed, other), 10)
        with feed.watching(names[0]) as woken:
            other.announce(Draft(entries=[moved(name).entries[0] for name in names]))
            await asyncio.wait_for(feed.any_moved.wait(), 10)
            assert not woken.is_set()  # so many are asked for together


async def hint_arrives(feed: Feed, other: Feed) -> None:
    """Waits until what moved elsewhere wakes who follows it here."""
    with feed.watching("anna") as woken:
        while not woken.is_set():
            other.announce(MOVED)
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), 0.1)


async def test_of_a_database_that_stays_away_one_line_is_said(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    attempts, enough = 0, asyncio.Event()

    async def connect() -> Connection:
        nonlocal attempts
        attempts += 1
        if attempts == ATTEMPTS:
            enough.set()
        return await connector("postgresql://127.0.0.1:1/giftpay")()  # nobody listens there

    async with listening(Feed(), connect):
        await asyncio.wait_for(enough.wait(), 10)
    (said,) = caplog.messages
    assert said.startswith("the hints of other servers are off, readers poll: ")


def test_owners_that_were_left_out_are_hinted_without_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "MOVED_MAX", 2)
    feed = Feed()
    for owner_id in ("a", "b", "c"):
        feed.announce(moved(owner_id))
    assert feed._hint().endswith(" *")
