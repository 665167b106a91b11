"""With the database's disk full, commands may be retried later, and the log stays short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import giftpay

from tests.faults.attempts import until
from tests.faults.small_disk import SmallDisk, small_disk
from tests.stories.evening import Evening, evening
from tests.stories.processes import Database, server_process

TIMEOUT_S = 2  # of the client
FULL_S = 6
FAILURES = 20  # of gifts, before the test continues
MEET_S = 30
LINES_MAX = 12  # logged while the disk is full
UNAVAILABLE = "ERROR_REASON_DATABASE_UNAVAILABLE"


async def test_a_full_disk_is_database_unavailable_until_there_is_space() -> None:
    with small_disk() as disk:
        async with (
            database_on(disk) as database,
            server_process(DATABASE_URL=database.dsn) as server,
            giftpay.connect(server.address, timeout=TIMEOUT_S) as client,
        ):
            gifts = await evening(client, deadline_s=TIMEOUT_S)
            async with gifts.under_way(client):
                await gifts.until_answered(100)
                said_before = len(server.log())
                with disk.full():
                    await until_refused(gifts)
                    await asyncio.sleep(FULL_S)
                    said = server.log()[said_before:]
                await gifts.until_answered(200)
            assert gifts.failures.keys() <= {UNAVAILABLE, "DEADLINE_EXCEEDED", "no answer"}
            assert said.count("\n") <= LINES_MAX, said
            assert "Traceback" not in said
            await gifts.prove(client)


async def until_refused(gifts: Evening) -> None:
    """Waits until many gifts were refused: a few still fit in allocated space."""

    async def are_refused() -> bool:
        return gifts.failures[UNAVAILABLE] >= FAILURES

    await until(are_refused, within_s=MEET_S)


@asynccontextmanager
async def database_on(disk: SmallDisk) -> AsyncIterator[Database]:
    """A Postgres wholly on this disk, with write-ahead log for a while.

    Without space for its log Postgres would stop at once; here only its tables cannot grow.
    """
    database = Database(disk.folder / "state")
    await database.start()
    try:
        connection = await asyncpg.connect(database.dsn)
        for _ in range(4):
            await connection.execute("SELECT pg_switch_wal()")
            await connection.execute("CHECKPOINT")  # keeps the segments before for later use
        await connection.close()
        yield database
    finally:
        await database.stop()
