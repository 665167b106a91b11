"""The database is killed, away or frozen under load; one server lives through all of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import GetWalletRequest, SendGiftRequest
from grpc import StatusCode

from tests.stories.evening import evening
from tests.stories.processes import Database, own_database, server_process

AWAY_S = 10
FROZEN_S = 6  # longer than statement_timeout
TIMEOUT_S = 2  # of the client

END_S = 30  # for its statements' own timeouts to pass

KILLS = 4  # more than the server's pool has connections


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    async with own_database() as database:
        yield database


@pytest.fixture(scope="module")
async def address(database: Database) -> AsyncIterator[str]:
    """The server's, which is never restarted."""
    async with server_process(DATABASE_URL=database.dsn, POOL_SIZE="3") as server:
        yield server.address


@pytest.fixture
async def caller(address: str) -> AsyncIterator[Client]:
    async with giftpay.connect(address, timeout=TIMEOUT_S) as caller:
        yield caller


@pytest.mark.parametrize("all_processes", [False, True])
async def test_a_killed_postgres_loses_nothing_that_was_acknowledged(
    caller: Client, database: Database, all_processes: bool
) -> None:
    gifts = await evening(caller, deadline_s=TIMEOUT_S)
    async with gifts.under_way(caller):
        for _ in range(KILLS):
            await gifts.until_answered(200)
            await database.kill(all_processes=all_processes)
            await database.start()
        await gifts.until_answered(200)
    await gifts.prove(caller)


async def test_a_database_away_for_ten_seconds_is_said_so_and_met_again(
    caller: Client, database: Database
) -> None:
    gifts = await evening(caller, deadline_s=TIMEOUT_S)
    async with gifts.under_way(caller):
        await gifts.until_answered(200)
        await database.stop()
        async with lasting(AWAY_S):
            assert (await read(caller)).reason == "ERROR_REASON_DATABASE_UNAVAILABLE"
            assert (await command(caller)).reason == "ERROR_REASON_DATABASE_UNAVAILABLE"
        await database.start()
        await gifts.until_answered(200)
    await gifts.prove(caller)
    assert gifts.failures.keys() <= {"ERROR_REASON_DATABASE_UNAVAILABLE", "no answer"}


async def test_a_frozen_database_holds_no_call_beyond_its_deadline(
    caller: Client, database: Database
) -> None:
    gifts = await evening(caller, deadline_s=TIMEOUT_S)
    async with gifts.under_way(caller):
        await gifts.until_answered(200)
        with database.frozen():
            async with lasting(FROZEN_S):
                assert (await read(caller)).code is StatusCode.DEADLINE_EXCEEDED
                assert (await command(caller)).code is StatusCode.DEADLINE_EXCEEDED
        await gifts.until_answered(200)
    await gifts.prove(caller)
    assert gifts.failures.keys() <= {"DEADLINE_EXCEEDED", "no answer"}


async def test_a_server_that_is_stopped_does_not_wait_for_a_frozen_database(
    database: Database,
) -> None:
    async with (
        server_process(DATABASE_URL=database.dsn, GRACE_S="1") as server,
        giftpay.connect(server.address, timeout=TIMEOUT_S) as caller,
    ):
        with database.frozen():
            await command(caller)
            server.send(signal.SIGTERM)
            async with asyncio.timeout(END_S):
                assert await server.ended() == 0


async def read(client: Client) -> giftpay.Unavailable:
    """What a read ends with while it cannot be answered."""
    with pytest.raises(giftpay.Unavailable) as ended:
        await client.wallets.GetWallet(GetWalletRequest(owner_id="anna"))
    return ended.value


async def command(client: Client) -> giftpay.OutcomeUnknown:
    """What a command ends with while it cannot be answered."""
    request = SendGiftRequest(sender_id="anna", recipient_id="ben", gift_id="rose")
    with pytest.raises(giftpay.OutcomeUnknown) as ended:
        await client.gifts.SendGift(request)
    assert ended.value.key == request.idempotency_key
    return ended.value


@asynccontextmanager
async def lasting(seconds: float) -> AsyncIterator[None]:
    """Goes on for so long at least."""
    end = asyncio.get_running_loop().time() + seconds
    yield
    await asyncio.sleep(end - asyncio.get_running_loop().time())
