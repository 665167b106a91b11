"""The database is restored to an earlier state while its servers keep running."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import UNIT_DIAMOND

from tests.faults.crowds import COINS, rose
from tests.stories.processes import Database, server_process
from tests.stories.wallets import PRICES, apply_catalog, balances, open_wallet, prove_books

LOST_PRICE, NEW_PRICE = 2, 7
TIMEOUT_S = 30  # of the clients, in which a server finds its database again
ENDED_S = 40  # in which streams beyond the account's last seq end
WATCHERS, POLL_S = 4, 3.0  # so that some of them look before and after the outage, and not in it
GIFTS = 3  # before the copy, after it, and after it was put back


@dataclass(frozen=True, slots=True)
class Place:
    """Two servers over one database, of which there may be a copy."""

    state: Path
    database: Database
    one: Client
    two: Client

    async def copy(self) -> None:
        """Notes how the database is now."""
        await self._stopped_for(["rm", "-rf", "copy", "lost"], ["cp", "-a", "data", "copy"])

    async def restore(self) -> None:
        """Puts it back to that, in so short a time that whoever polls may not notice."""
        await self._stopped_for(["mv", "data", "lost"], ["mv", "copy", "data"])

    async def _stopped_for(self, *commands: Sequence[str]) -> None:
        await self.database.stop()
        for command in commands:
            await asyncio.to_thread(subprocess.run, command, cwd=self.state, check=True)
        await self.database.start()


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Place]:
    with TemporaryDirectory(prefix="giftpay-") as folder:
        database = Database(Path(folder))
        await database.start()
        try:
            async with (
                server_process(DATABASE_URL=database.dsn) as one,
                server_process(DATABASE_URL=database.dsn) as two,
                giftpay.connect(one.address, timeout=TIMEOUT_S) as on_one,
                giftpay.connect(two.address, timeout=TIMEOUT_S) as on_two,
            ):
                yield Place(Path(folder), database, on_one, on_two)
        finally:
            await database.stop()


async def test_a_key_lost_by_the_restore_is_decided_again_once(place: Place) -> None:
    anna, ben = await open_two(place)
    await place.copy()
    gift = rose(anna, ben)
    assert not (await place.one.gifts.SendGift(gift)).replayed
    await place.restore()
    assert not (await place.one.gifts.SendGift(gift)).replayed
    assert (await place.two.gifts.SendGift(gift)).replayed
    assert await balances(place.two, anna) == (COINS - PRICES["rose"], 0)
    await prove_books(place.one)


async def test_streams_beyond_the_last_seq_of_the_restored_account_are_refused(
    place: Place,
) -> None:
    anna, ben = await open_two(place)
    await send_roses(place.one, anna, ben)
    await place.copy()
    await send_roses(place.one, anna, ben)
    async with asyncio.timeout(ENDED_S), asyncio.TaskGroup() as group:
        watchers = []
        for _ in range(WATCHERS):
            watchers.append(group.create_task(entries_until_refused(place.one, ben)))
            await asyncio.sleep(POLL_S / WATCHERS)
        await place.restore()
    assert [watcher.result() for watcher in watchers] == [2 * GIFTS] * WATCHERS
    await send_roses(place.one, anna, ben)
    assert await balances(place.two, ben) == (0, 2 * GIFTS)
    await prove_books(place.two)


async def test_gifts_have_the_prices_of_the_restored_catalog(place: Place) -> None:
    anna, ben = await open_two(place)
    await send_roses(place.one, anna, ben)
    await place.copy()
    lost = await apply_catalog(place.one, {"rose": LOST_PRICE})
    await send_roses(place.one, anna, ben)
    await place.restore()
    assert await apply_catalog(place.two, {"rose": NEW_PRICE}) == lost
    await send_roses(place.one, anna, ben)
    spent = GIFTS * (PRICES["rose"] + NEW_PRICE)
    assert await balances(place.two, anna) == (COINS - spent, 0)
    assert await balances(place.one, ben) == (0, spent)
    await prove_books(place.two)


async def open_two(place: Place) -> tuple[str, str]:
    """A sender and a recipient, at the usual prices."""
    await apply_catalog(place.one)
    return await open_wallet(place.one, coins=COINS), await open_wallet(place.one)


async def send_roses(client: Client, sender_id: str, recipient_id: str) -> None:
    for _ in range(GIFTS):
        await client.gifts.SendGift(rose(sender_id, recipient_id))


async def entries_until_refused(client: Client, owner_id: str) -> int:
    """Follows an account until the server refuses; returns the number of entries."""
    count = 0
    try:
        async for _ in client.watch(owner_id, UNIT_DIAMOND):
            count += 1
    except giftpay.Refused:
        return count
    raise AssertionError("a watch ended without an error")
