"""The database is killed, away or frozen under load; one server lives through all of it."""

from __future__ import annotations

import asyncio
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
async def client(address: str) -> AsyncIterator[Client]:
    async with giftpay.connect(address, timeout=TIMEOUT_S) as client:
        yield client


@pytest.mark.parametrize("all_processes", [False, True])
async def test_a_killed_postgres_loses_nothing_that_was_acknowledged(
    client: Client, database: Database, all_processes: bool
) -> None:
    gifts = await evening(client)
    async with gifts.under_way(client):
        for _ in range(KILLS):
            await gifts.until_answered(200)
            await database.kill(all_processes=all_processes)
            await database.start()
        await gifts.until_answered(200)
    await gifts.prove(client)


async def test_a_database_away_for_ten_seconds_is_said_so_and_met_again(
    client: Client, database: Database
) -> None:
    gifts = await evening(client)
    async with gifts.under_way(client):
        await gifts.until_answered(200)
        await database.stop()
        async with lasting(AWAY_S):
            assert (await read(client)).reason == "ERROR_REASON_DATABASE_UNAVAILABLE"
            assert (await command(client)).reason == "ERROR_REASON_DATABASE_UNAVAILABLE"
        await database.start()
        await gifts.until_answered(200)
    await gifts.prove(client)
    assert gifts.failures.keys() <= {"ERROR_REASON_DATABASE_UNAVAILABLE", "no answer"}


async def test_a_frozen_database_holds_no_call_beyond_its_deadline(
    client: Client, database: Database
) -> None:
    gifts = await evening(client)
    async with gifts.under_way(client):
        await gifts.until_answered(200)
        database.freeze()
        async with lasting(FROZEN_S):
            assert (await read(client)).code is StatusCode.DEADLINE_EXCEEDED
            # What came before waits; what comes now would wait too long.
            assert isinstance(await command(client), giftpay.Overloaded)
        database.thaw()
        await gifts.until_answered(200)
    await gifts.prove(client)
    assert gifts.failures.keys() <= {"DEADLINE_EXCEEDED", "ERROR_REASON_OVERLOADED", "no answer"}


async def read(client: Client) -> giftpay.Unavailable:
    """What a read ends with while it cannot be answered."""
    with pytest.raises(giftpay.Unavailable) as ended:
        await client.wallets.GetWallet(GetWalletRequest(owner_id="anna"))
    return ended.value


async def command(client: Client) -> giftpay.GiftpayError:
    """What a command ends with while it cannot be answered."""
    request = SendGiftRequest(sender_id="anna", recipient_id="ben", gift_id="rose")
    with pytest.raises((giftpay.OutcomeUnknown, giftpay.Overloaded)) as ended:
        await client.gifts.SendGift(request)
    assert ended.value.key == request.idempotency_key
    return ended.value


@asynccontextmanager
async def lasting(seconds: float) -> AsyncIterator[None]:
    """Goes on for so long at least."""
    end = asyncio.get_running_loop().time() + seconds
    yield
    await asyncio.sleep(end - asyncio.get_running_loop().time())
