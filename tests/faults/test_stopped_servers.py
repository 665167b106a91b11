"""A server process that is stopped (SIGSTOP), like a paused machine or one in a debugger."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import UNIT_DIAMOND, SendGiftRequest
from grpc import StatusCode

from tests.faults import held_rows
from tests.faults.crowds import AT_LEAST, COINS, crowd, rose
from tests.faults.held_rows import held
from tests.stories.processes import ServerProcess, server_process
from tests.stories.wallets import apply_catalog, is_decided, open_wallet, prove_books, statement

VIEWERS, FANS = 20, 5
PATIENCE_S = 30  # to be served once nothing is stopped
POST_WITHIN_S = 3
CALL_S = 1  # of a caller who then gives up
REST_S = 0.05  # in which Postgres has done what the server asked for before it was stopped
LOOKS, LOOK_EVERY_S = 10, 0.3  # at a key, after its server has gone on

HOLDS_ACCOUNTS = """
    SELECT EXISTS (SELECT FROM pg_stat_activity s JOIN pg_locks l USING (pid)
                    WHERE s.datname = current_database() AND s.state = 'idle in transaction'
                      AND l.relation = 'account'::regclass AND l.mode = 'RowExclusiveLock')
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers over one database, and a client of each."""

    dsn: str
    one: ServerProcess
    two: ServerProcess
    on_one: Client
    on_two: Client


@pytest.fixture(scope="module")
async def pair(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Pair]:
    dsn = await new_database()
    settings = {"DATABASE_URL": dsn, "POST_WITHIN_S": str(POST_WITHIN_S)}
    async with (
        server_process(**settings) as one,
        server_process(**settings) as two,
        giftpay.connect(one.address) as on_one,
        giftpay.connect(two.address, timeout=PATIENCE_S) as on_two,
    ):
        await apply_catalog(on_one)
        yield Pair(dsn, one, two, on_one, on_two)


@contextmanager
def stopped(server: ServerProcess) -> Iterator[None]:
    """It does nothing meanwhile; its connections stay open."""
    server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send(signal.SIGCONT)


@asynccontextmanager
async def stopped_in_a_transaction(server: ServerProcess, dsn: str) -> AsyncIterator[None]:
    """Stopped while a transaction of its own holds accounts; it is busy, and the only one."""
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            with stopped(server):
                await asyncio.sleep(REST_S)
                if await connection.fetchval(HOLDS_ACCOUNTS):
                    yield
                    return
            await asyncio.sleep(random.uniform(0, REST_S))
    finally:
        connection.terminate()


async def test_a_server_stopped_in_a_transaction_does_not_stop_other_servers(pair: Pair) -> None:
    star = await open_wallet(pair.on_one)
    fans = await crowd(pair.on_one, viewers=FANS, stars=[star])  # through both servers
    viewers = await crowd(pair.on_two, viewers=VIEWERS)
    async with fans.sending(pair.on_one):
        async with viewers.sending(pair.on_two):
            undisturbed = await viewers.answered_in_a_slice()
        async with (
            stopped_in_a_transaction(pair.one, pair.dsn),
            fans.sending(pair.on_two),
            viewers.sending(pair.on_two),
        ):
            beside = await viewers.answered_in_a_slice()
        await fans.until_answered(FANS, within_s=PATIENCE_S)
    assert beside * AT_LEAST >= undisturbed, (beside, undisturbed)
    assert "the database is away" not in pair.two.log()
    await viewers.prove_answers(pair.on_one)
    await fans.prove_answers(pair.on_two)
    await prove_books(pair.on_two)


async def test_a_command_queued_in_a_stopped_server_is_not_posted_too_late(pair: Pair) -> None:
    gift = rose(await open_wallet(pair.on_two, coins=COINS), await open_wallet(pair.on_two))
    async with held(pair.dsn, held_rows.ACCOUNT, gift.recipient_id) as holder:
        call = asyncio.ensure_future(given_up(pair.on_one, gift))
        await holder.until_met()
        with stopped(pair.one):
            await call
            assert not await is_decided(pair.on_two, gift)
            await asyncio.sleep(POST_WITHIN_S)
            await holder.connection.execute("ROLLBACK")
            assert not await is_decided(pair.on_two, gift)
    await assert_never_decided(pair, gift)
    await assert_decided_once(pair, gift)


async def test_a_command_unread_by_a_stopped_server_is_not_posted_too_late(pair: Pair) -> None:
    gift = rose(await open_wallet(pair.on_two, coins=COINS), await open_wallet(pair.on_two))
    with stopped(pair.one):
        await given_up(pair.on_one, gift)
        await asyncio.sleep(POST_WITHIN_S)
        assert not await is_decided(pair.on_two, gift)
    await assert_never_decided(pair, gift)
    await assert_decided_once(pair, gift)


async def given_up(client: Client, gift: SendGiftRequest) -> None:
    """Sends a gift on an open connection; its caller gives up soon."""
    with pytest.raises(giftpay.OutcomeUnknown) as ended:
        await client.gifts.SendGift(gift, timeout=CALL_S)
    assert ended.value.code is StatusCode.DEADLINE_EXCEEDED


async def assert_never_decided(pair: Pair, gift: SendGiftRequest) -> None:
    """Not while the server that had it goes on with other work."""
    for _ in range(LOOKS):
        other = rose(gift.sender_id, await open_wallet(pair.on_one))
        await pair.on_one.gifts.SendGift(other)
        assert not await is_decided(pair.on_two, gift)
        await asyncio.sleep(LOOK_EVERY_S)


async def assert_decided_once(pair: Pair, gift: SendGiftRequest) -> None:
    """The same key again, through either server: one gift."""
    answers = [await client.gifts.SendGift(gift) for client in (pair.on_two, pair.on_one)]
    assert [answer.replayed for answer in answers] == [False, True]
    (entry,) = await statement(pair.on_one, gift.recipient_id, UNIT_DIAMOND)
    assert entry.transaction_id == gift.idempotency_key
    await prove_books(pair.on_one)
