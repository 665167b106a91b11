"""GetWallet: now, and as of a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_RETURNED,
    UNIT_COIN,
    UNIT_DIAMOND,
    Balance,
    CreateRedemptionRequest,
    Entry,
    GetRedemptionRequest,
    GetWalletRequest,
    Gift,
    ListEntriesRequest,
    Redemption,
    SendGiftRequest,
    Unit,
    Wallet,
)
from giftpay_server.postgres.pool import Pool
from google.protobuf.timestamp_pb2 import Timestamp

from tests.conftest import MovableClock, OpenWallet
from tests.wallet.conftest import adjust, give

STEPS = [timedelta(microseconds=step) for step in (-1, 0, 1)]
ENDED = (REDEMPTION_STATE_PAID, REDEMPTION_STATE_RETURNED)
DECLINING = "decline@sandbox.example"


def stamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


async def wallet_at(client: Client, owner_id: str, at: datetime) -> Wallet:
    request = GetWalletRequest(owner_id=owner_id, as_of_time=stamp(at))
    return (await client.wallets.GetWallet(request)).wallet


async def send(client: Client, sender_id: str, recipient_id: str) -> Gift:
    request = SendGiftRequest(sender_id=sender_id, recipient_id=recipient_id, gift_id="rose")
    return (await client.gifts.SendGift(request)).gift


async def history(client: Client, owner_id: str, unit: Unit.ValueType) -> list[Entry]:
    request = ListEntriesRequest(owner_id=owner_id, unit=unit, after_seq=0, page_size=1_000)
    return list((await client.wallets.ListEntries(request)).entries)


def time_of(entry: Entry) -> datetime:
    return entry.create_time.ToDatetime(tzinfo=UTC)


def replayed(entries: list[Entry], at: datetime) -> tuple[int, int]:
    """Balance and last seq by adding everything up."""
    past = [entry for entry in entries if time_of(entry) <= at]
    return sum(entry.amount for entry in past), len(past)


def interesting_times(entries: list[Entry]) -> Iterator[datetime]:
    for entry in entries:
        yield from (time_of(entry) + step for step in STEPS)


async def test_an_owner_without_a_wallet_is_not_found(client: Client, clock: MovableClock) -> None:
    for fields in ({}, {"as_of_time": stamp(clock() - timedelta(days=1))}):
        request = GetWalletRequest(owner_id="nobody", **fields)
        with pytest.raises(giftpay.WalletNotFound) as refused:
            await client.wallets.GetWallet(request)
        assert refused.value.owner_id == "nobody"


async def test_as_of_any_time_a_balance_is_what_its_entries_add_up_to(
    client: Client, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    anna, ben, chance = await open_wallet(coins=100), await open_wallet(), random.Random(7)
    for _ in range(10):
        await adjust(client, anna, UNIT_COIN, chance.randint(1, 9))
        await adjust(client, anna, UNIT_DIAMOND, chance.randint(1, 9))
        await give(client, anna, ben, messages=["", "", ""])  # in one batch: at one time
    coins = await history(client, anna, UNIT_COIN)
    diamonds = await history(client, anna, UNIT_DIAMOND)
    assert len({time_of(entry) for entry in coins}) < len(coins)
    for at in {*interesting_times(coins), *interesting_times(diamonds)}:
        wallet = await wallet_at(client, anna, min(at, clock()))
        assert (wallet.coins.balance, wallet.coins.last_seq) == replayed(coins, at)
        assert (wallet.diamonds.balance, wallet.diamonds.last_seq) == replayed(diamonds, at)


async def test_before_its_opening_a_wallet_is_empty(
    client: Client, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    anna = await open_wallet(coins=5)
    for at in (clock() - timedelta(days=1), datetime(1, 1, 1, tzinfo=UTC)):
        wallet = await wallet_at(client, anna, at)
        assert (wallet.coins, wallet.diamonds) == (Balance(), Balance())
        assert wallet.owner_id == anna


async def ended_redemption(client: Client, owner_id: str, destination: str) -> Redemption:
    """A redemption of 2,000 diamonds that was paid or declined."""
    create = CreateRedemptionRequest(
        owner_id=owner_id, diamonds=2_000, currency_code="EUR", destination=destination
    )
    made = (await client.redemptions.CreateRedemption(create)).redemption
    get = GetRedemptionRequest(redemption_id=made.redemption_id)
    async with asyncio.timeout(10):
        while True:
            found = (await client.redemptions.GetRedemption(get)).redemption
            if found.state in ENDED:
                return found
            await asyncio.sleep(0.02)


async def test_held_is_the_amount_reserved_at_that_time(
    client: Client, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    ben = await open_wallet(diamonds=5_000)
    redemptions = await asyncio.gather(
        *(ended_redemption(client, ben, name) for name in ("ben@example.com", DECLINING))
    )
    spans = [
        (each.create_time.ToDatetime(tzinfo=UTC), each.update_time.ToDatetime(tzinfo=UTC))
        for each in redemptions
    ]
    for at in {moment + step for span in spans for moment in span for step in STEPS}:
        diamonds = (await wallet_at(client, ben, min(at, clock()))).diamonds
        assert diamonds.held == sum(2_000 for begin, end in spans if begin <= at < end)
        assert diamonds.available == diamonds.balance - diamonds.held


async def test_an_answer_as_of_a_time_never_changes_afterwards(
    client: Client, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    anna = await open_wallet()
    seen: list[tuple[datetime, Wallet]] = []

    async def look() -> None:
        for _ in range(30):
            at = clock()
            seen.append((at, await wallet_at(client, anna, at)))

    await asyncio.gather(look(), *(adjust(client, anna, UNIT_COIN, 1) for _ in range(200)))
    for at, wallet in seen:
        assert await wallet_at(client, anna, at) == wallet


async def test_a_gift_decided_before_the_read_and_written_after_it_gets_a_later_time(
    client: Client, open_wallet: OpenWallet, clock: MovableClock, pool: Pool
) -> None:
    anna, ben = sorted([await open_wallet(coins=5), await open_wallet(coins=5)])
    await send(client, anna, ben)  # so that both accounts are known
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM account WHERE owner_id = $1 FOR UPDATE", anna)
        sending = asyncio.create_task(send(client, anna, ben))
        await asyncio.sleep(0.2)  # it is decided, and waits for Anna's account
        at = clock()
        seen = await wallet_at(client, ben, at)
    assert (await sending).create_time.ToDatetime(tzinfo=UTC) > at
    assert await wallet_at(client, ben, at) == seen


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "a b"}, "owner_id"),
        ({"owner_id": "anna", "as_of_time": Timestamp(seconds=10**12)}, "as_of_time"),
        ({"owner_id": "anna", "as_of_time": Timestamp(nanos=-1)}, "as_of_time"),
    ],
)
async def test_a_malformed_field_is_named(
    client: Client, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await client.wallets.GetWallet(GetWalletRequest(**fields))
    assert refused.value.field == field


async def test_the_future_is_malformed(
    client: Client, open_wallet: OpenWallet, clock: MovableClock
) -> None:
    anna = await open_wallet()
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await wallet_at(client, anna, clock() + timedelta(minutes=1))
    assert refused.value.field == "as_of_time"
