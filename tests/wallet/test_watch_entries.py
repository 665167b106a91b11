"""WatchEntries: existing entries, then new ones; each once, in order, without a gap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay.client import Client, connect
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    Entry,
    OpenWalletRequest,
    WatchEntriesRequest,
    WatchEntriesResponse,
)
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.journal.feed import Feed
from giftpay_server.wallet.frames import FRAME_ENTRIES

from tests.conftest import MovableClock, OpenWallet
from tests.journal.drafts import moved
from tests.wallet.conftest import HEARTBEAT_S, WRITE_MAX_S, Impatient, adjust, give

PATIENCE_S = 15.0  # far more than anything here takes


@asynccontextmanager
async def watching(
    client: Client, owner_id: str, **fields: Any
) -> AsyncIterator[AsyncIterator[WatchEntriesResponse]]:
    request = WatchEntriesRequest(owner_id=owner_id, **{"unit": UNIT_COIN, **fields})
    stream: Any = client.wallets.WatchEntries(request)
    async with aclosing(stream), asyncio.timeout(PATIENCE_S):
        yield stream


async def take(stream: AsyncIterator[WatchEntriesResponse], count: int) -> list[Entry]:
    """The next entries of a stream, from any number of messages."""
    entries: list[Entry] = []
    async for part in stream:
        assert len(part.entries) <= FRAME_ENTRIES
        entries += part.entries
        assert not part.entries or part.last_seq == entries[-1].seq
        if len(entries) >= count:
            break
    return entries


async def test_existing_entries_come_first_and_then_new_ones(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet(coins=1)
    await adjust(client, anna, UNIT_COIN, 2)
    async with watching(client, anna) as stream:
        past = await anext(stream)
        assert ([entry.amount for entry in past.entries], past.last_seq) == ([1, 2], 2)
        await adjust(client, anna, UNIT_DIAMOND, 9)  # the other account is not followed
        booked = await adjust(client, anna, UNIT_COIN, 3)
        live = await anext(stream)
        assert ([entry.amount for entry in live.entries], live.last_seq) == ([3], 3)
        assert live.entries[0].transaction_id == booked.transaction_id


async def test_a_gift_arrives_with_its_message_and_its_sender(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    async with watching(client, ben, unit=UNIT_DIAMOND) as stream:
        arriving = asyncio.ensure_future(anext(stream))
        await give(client, anna, ben, messages=["Bravo"])
        (entry,) = (await arriving).entries
        assert (entry.counterpart_id, entry.gift.gift_id) == (anna, "rose")
        assert entry.gift.message == "Bravo"


@pytest.mark.parametrize("after_seq", [1, 2, 3])
async def test_a_stream_resumes_after_a_seq(
    client: Client, open_wallet: OpenWallet, after_seq: int
) -> None:
    anna = await open_wallet(coins=1)
    for amount in (2, 3):
        await adjust(client, anna, UNIT_COIN, amount)
    async with watching(client, anna, after_seq=after_seq) as stream:
        arriving = asyncio.ensure_future(take(stream, 4 - after_seq))
        await adjust(client, anna, UNIT_COIN, 4)
        assert [entry.seq for entry in await arriving] == list(range(after_seq + 1, 5))


async def test_nothing_is_missed_or_repeated_while_many_give_at_once(
    client: Client, open_wallet: OpenWallet
) -> None:
    ben = await open_wallet()
    fans = [await open_wallet(coins=200) for _ in range(8)]
    chance = random.Random(3)

    async def follow(delay_s: float) -> list[Entry]:
        await asyncio.sleep(delay_s)
        async with watching(client, ben, unit=UNIT_DIAMOND) as stream:
            return await take(stream, 8 * 10 * 20)

    async def give_on(fan: str) -> None:
        for _ in range(10):
            await give(client, fan, ben, messages=[""] * 20)

    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(follow(chance.uniform(0, 0.5))) for _ in range(4)]
        for fan in fans:
            group.create_task(give_on(fan))
    for follower in followers:
        entries = follower.result()
        assert [entry.seq for entry in entries] == list(range(1, 1_601))


async def test_entries_of_another_server_arrive(
    client: Client, server: Running, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    anna = await open_wallet()
    async with (
        serving(server.parts.config, clock=clock) as other,
        connect(other.address) as neighbour,
        watching(client, anna) as stream,
    ):
        for amount in (1, 2, 3):
            arriving = asyncio.ensure_future(anext(stream))
            await adjust(neighbour, anna, UNIT_COIN, amount)
            assert [entry.amount for entry in (await arriving).entries] == [amount]


async def test_without_any_hint_entries_arrive_by_polling(
    client: Client, impatient: Impatient, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    async with watching(impatient.client, anna) as stream:
        arriving = asyncio.ensure_future(take(stream, 2))
        for amount in (1, 2):
            await adjust(client, anna, UNIT_COIN, amount)
        assert [entry.amount for entry in await arriving] == [1, 2]


async def test_a_hint_without_an_entry_sends_nothing(
    impatient: Impatient, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet(coins=5)
    async with watching(impatient.client, anna, after_seq=1) as stream:
        arriving = asyncio.ensure_future(anext(stream))
        while not arriving.done():
            wake(impatient.feed, anna)
            await asyncio.sleep(HEARTBEAT_S / 50)
        assert (await arriving) == WatchEntriesResponse(last_seq=1)


def wake(feed: Feed, owner_id: str) -> None:
    feed.announce(moved(owner_id))


async def test_a_quiet_stream_repeats_the_last_position(
    impatient: Impatient, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet(coins=5)
    async with watching(impatient.client, anna) as stream:
        assert (await anext(stream)).last_seq == 1
        for _ in range(3):
            assert await anext(stream) == WatchEntriesResponse(last_seq=1)


async def test_an_account_without_entries_is_followed_from_zero(
    impatient: Impatient, open_wallet: OpenWallet
) -> None:
    async with watching(impatient.client, await open_wallet()) as stream:
        assert await anext(stream) == WatchEntriesResponse(last_seq=0)


@pytest.fixture(scope="module")
async def praised(client: Client, open_wallet: OpenWallet) -> str:
    """An owner with 3,000 gifts, far more than any flow-control window holds."""
    anna, ben = await open_wallet(coins=3_000), await open_wallet()
    for _ in range(3):
        await give(client, anna, ben, messages=["x" * 200] * 1_000)
    return ben


async def test_a_reader_who_stops_reading_is_ended_and_resumes(
    impatient: Impatient, praised: str
) -> None:
    seqs: list[int] = []

    async def read_on(stream: AsyncIterator[WatchEntriesResponse]) -> None:
        async for part in stream:
            seqs.extend(entry.seq for entry in part.entries)

    async with watching(impatient.client, praised, unit=UNIT_DIAMOND) as stream:
        seqs += [entry.seq for entry in (await anext(stream)).entries]
        await asyncio.sleep(2 * WRITE_MAX_S)
        with pytest.raises(giftpay.SlowReader) as ended:
            await read_on(stream)
    last = ended.value.last_seq
    assert last == seqs[-1] < 3_000
    async with watching(impatient.client, praised, unit=UNIT_DIAMOND, after_seq=last) as stream:
        seqs += [entry.seq for entry in await take(stream, 3_000 - last)]
    assert seqs == list(range(1, 3_001))


async def test_a_reader_who_keeps_reading_is_never_too_slow(
    impatient: Impatient, praised: str
) -> None:
    async with watching(impatient.client, praised, unit=UNIT_DIAMOND) as stream:
        async for part in stream:
            await asyncio.sleep(WRITE_MAX_S / 10)
            if part.last_seq == 3_000:
                break


@pytest.mark.parametrize("gone", ["entries", "account"])
async def test_a_stream_ends_when_its_account_went_back(
    new_database: Callable[[], Awaitable[str]], gone: str
) -> None:
    dsn = await new_database()
    owner = await asyncpg.connect(dsn)
    config = Config(database_url=dsn, listen="127.0.0.1:0")
    async with serving(config) as server, connect(server.address) as client:
        await client.wallets.OpenWallet(OpenWalletRequest(owner_id="anna", country_code="DE"))
        for amount in (1, 2, 3):
            await adjust(client, "anna", UNIT_COIN, amount)
        async with watching(client, "anna", after_seq=1) as stream:
            assert (await anext(stream)).last_seq == 3
            await owner.execute(GONE_BACK[gone])
            with pytest.raises(giftpay.InvalidArgument) as ended:
                await anext(stream)
    await owner.close()
    assert (ended.value.field, ended.value.limit) == ("after_seq", END_OF[gone])


# The database was restored to before the third entry, or to before the wallet.
GONE_BACK = {
    "entries": "DELETE FROM entry WHERE seq = 3; UPDATE account SET seq = 2 WHERE seq = 3",
    "account": "DELETE FROM entry; DELETE FROM account; DELETE FROM owner",
}
END_OF = {"entries": "0..2", "account": "0..0"}


async def test_a_follower_that_leaves_during_a_message_leaves_nothing_behind(
    impatient: Impatient, praised: str
) -> None:
    async with watching(impatient.client, praised, unit=UNIT_DIAMOND) as stream:
        await anext(stream)
        await asyncio.sleep(WRITE_MAX_S / 4)  # the server waits for us to take the next
        assert impatient.feed._waiting
    await nobody_waits(impatient.feed)


async def test_a_follower_that_leaves_leaves_nothing_behind(
    impatient: Impatient, open_wallet: OpenWallet
) -> None:
    owners = [await open_wallet(coins=1) for _ in range(5)]
    for owner_id in owners:
        async with watching(impatient.client, owner_id) as stream:
            await anext(stream)
            await anext(stream)
    await nobody_waits(impatient.feed)


async def nobody_waits(feed: Feed) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if not feed._waiting:
                return
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_ends_streams_at_once_with_its_reason(
    server: Running, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    anna = await open_wallet(coins=1)
    async with AsyncExitStack() as running:
        config = replace(server.parts.config, grace_s=10 * PATIENCE_S)
        stopping = await running.enter_async_context(serving(config, clock=clock))
        async with connect(stopping.address) as client, watching(client, anna) as stream:
            await anext(stream)
            stopped = asyncio.create_task(running.aclose())
            with pytest.raises(giftpay.Unavailable) as ended:
                await anext(stream)
            await stopped
    assert ended.value.reason == "ERROR_REASON_SHUTTING_DOWN"
    assert not stopping.parts.feed._waiting


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"unit": 0}, "unit"),
        ({"after_seq": -1}, "after_seq"),
        ({"after_seq": 2}, "after_seq"),
        ({"unit": UNIT_DIAMOND, "after_seq": 1}, "after_seq"),
    ],
)
async def test_a_malformed_field_is_named(
    client: Client, open_wallet: OpenWallet, fields: dict[str, Any], field: str
) -> None:
    anna = await open_wallet(coins=1)
    async with watching(client, **{"owner_id": anna, **fields}) as stream:
        with pytest.raises(giftpay.InvalidArgument) as refused:
            await anext(stream)
    assert refused.value.field == field


async def test_an_owner_without_a_wallet_is_not_found(client: Client) -> None:
    async with watching(client, "nobody") as stream:
        with pytest.raises(giftpay.WalletNotFound):
            await anext(stream)
