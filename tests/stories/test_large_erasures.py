"""Erasing a person of whom there is much: decided at once, removed in slices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    CreateRedemptionRequest,
    ErasePersonalDataRequest,
    GetGiftRequest,
    GetRedemptionRequest,
    ListEntriesRequest,
    ListGiftsReceivedRequest,
    ListGiftsSentRequest,
    ListRedemptionsRequest,
    OpenWalletRequest,
    SendGiftRequest,
)
from giftpay_server.admin.rules import Erasure
from giftpay_server.admin.worker import CHUNK, ErasureWorker
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.journal.worker import Pace, Runner
from giftpay_server.postgres.clock import utc_now

from tests.conftest import verify

MANY = 20_500
MESSAGE = "call me"
NewDatabase = Callable[[], Awaitable[str]]

WRITE_MANY = """
    INSERT INTO personal_data (transaction_id, owner_id, generation, salt, value)
    SELECT gen_random_uuid(), $1, 0, '\\x00', 'call me' FROM generate_series(1, $2)
"""
COUNT = "SELECT count(*) FROM personal_data WHERE owner_id = $1"
LOCK_LAST = """
    SELECT 1 FROM personal_data
     WHERE ctid = (SELECT max(ctid) FROM personal_data WHERE owner_id = $1) FOR UPDATE
"""
IS_ERASING = "SELECT EXISTS (SELECT 1 FROM erasure WHERE owner_id = $1)"


@dataclass(frozen=True, slots=True)
class House:
    """A server whose own worker does not come, so that what was erased remains until it is let."""

    client: Client
    server: Running
    pool: asyncpg.Pool[asyncpg.Record]  # as the owner of the schema

    async def open(self) -> str:
        """A wallet with coins and diamonds."""
        owner_id = f"o-{giftpay.new_key()}"
        opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
        await self.client.wallets.OpenWallet(opening)
        for unit in (UNIT_COIN, UNIT_DIAMOND):
            request = AdjustBalanceRequest(
                owner_id=owner_id, unit=unit, amount=100_000, reason="test"
            )
            await self.client.admin.AdjustBalance(request)
        return owner_id

    async def open_talker(self) -> str:
        """A wallet whose owner has said much."""
        owner_id = await self.open()
        await self.pool.execute(WRITE_MANY, owner_id, MANY)
        return owner_id

    async def say(self, sender_id: str, recipient_id: str) -> SendGiftRequest:
        """Sends a gift with a message."""
        request = SendGiftRequest(
            sender_id=sender_id, recipient_id=recipient_id, gift_id="rose", message=MESSAGE
        )
        assert (await self.client.gifts.SendGift(request)).gift.message == MESSAGE
        return request

    async def redeem(self, owner_id: str) -> CreateRedemptionRequest:
        """Asks for money to be sent somewhere."""
        request = CreateRedemptionRequest(
            owner_id=owner_id, diamonds=10_000, currency_code="EUR", destination=MESSAGE
        )
        await self.client.redemptions.CreateRedemption(request)
        return request

    async def erase(self, owner_id: str) -> None:
        await self.client.admin.ErasePersonalData(ErasePersonalDataRequest(owner_id=owner_id))

    async def shown(self, gift: SendGiftRequest, payout: CreateRedemptionRequest) -> set[str]:
        """The message of a gift and the destination of a redemption, as any rpc shows them."""
        return await self._messages(gift) | await self._destinations(payout)

    async def _messages(self, gift: SendGiftRequest) -> set[str]:
        gifts, sender, recipient = self.client.gifts, gift.sender_id, gift.recipient_id
        got = await gifts.GetGift(GetGiftRequest(transaction_id=gift.idempotency_key))
        sent = await gifts.ListGiftsSent(ListGiftsSentRequest(owner_id=sender))
        received = await gifts.ListGiftsReceived(ListGiftsReceivedRequest(owner_id=recipient))
        again = await gifts.SendGift(gift)
        found = [got.gift, *sent.gifts, *received.gifts, again.gift]
        paid = await self.client.wallets.ListEntries(
            ListEntriesRequest(owner_id=sender, unit=UNIT_COIN, page_size=1)
        )
        return {each.message for each in found} | {each.gift.message for each in paid.entries}

    async def _destinations(self, payout: CreateRedemptionRequest) -> set[str]:
        redemptions = self.client.redemptions
        named = GetRedemptionRequest(redemption_id=payout.idempotency_key)
        got = await redemptions.GetRedemption(named)
        listed = await redemptions.ListRedemptions(ListRedemptionsRequest(owner_id=payout.owner_id))
        again = await redemptions.CreateRedemption(payout)
        return {
            each.destination for each in (got.redemption, *listed.redemptions, again.redemption)
        }

    def runner(self) -> Runner[Erasure]:
        """One more worker."""
        worker = ErasureWorker(self.server.parts.pool)
        return Runner(worker, clock=utc_now, pace=Pace(poll_s=0.01))

    async def left(self, owner_id: str) -> tuple[int, bool]:
        """How many rows there are, and whether an erasure is under way."""
        count = await self.pool.fetchval(COUNT, owner_id)
        return count, await self.pool.fetchval(IS_ERASING, owner_id)

    async def dwindles(self, owner_id: str, *, to: int) -> None:
        """Waits until no more than so many rows are left."""
        async with asyncio.timeout(30):
            while True:
                if (await self.left(owner_id))[0] <= to:
                    return
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def house(new_database: NewDatabase) -> AsyncIterator[House]:
    dsn = await new_database()
    config = Config(
        database_url=dsn, listen="127.0.0.1:0", sample_catalog=True, erasure_poll_s=3_600
    )
    async with (
        serving(config) as server,
        giftpay.connect(server.address) as client,
        asyncpg.create_pool(dsn, min_size=1, max_size=5) as pool,
    ):
        yield House(client, server, pool)


@pytest.fixture(autouse=True)
async def house_books_are_clean(house: House) -> AsyncIterator[None]:
    """After every test."""
    yield
    await verify(house.client)


async def test_an_erasure_is_answered_while_its_rows_remain_and_nothing_of_them_is_shown(
    house: House,
) -> None:
    anna, ben, cleo = await house.open_talker(), await house.open(), await house.open()
    payout = await house.redeem(anna)
    gift = await house.say(anna, ben)
    assert await house.shown(gift, payout) == {MESSAGE}
    await house.erase(anna)
    assert await house.left(anna) == (MANY + 2, True)
    assert await house.shown(gift, payout) == {""}
    await house.say(cleo, ben)
    await verify(house.client)
    await house.runner().round()
    await house.runner().round()
    assert await house.left(anna) == (0, False)
    received = ListGiftsReceivedRequest(owner_id=ben)
    gifts = (await house.client.gifts.ListGiftsReceived(received)).gifts
    assert [each.message for each in gifts] == [MESSAGE, ""]


async def test_what_is_said_after_an_erasure_is_shown_and_stays(house: House) -> None:
    anna, ben = await house.open_talker(), await house.open()
    await house.erase(anna)
    payout = await house.redeem(anna)
    gift = await house.say(anna, ben)
    assert await house.shown(gift, payout) == {MESSAGE}
    while (await house.left(anna))[1]:
        await house.runner().round()
    assert (await house.left(anna))[0] == 2
    assert await house.shown(gift, payout) == {MESSAGE}


async def test_a_removal_that_was_killed_goes_on_later(house: House) -> None:
    anna = await house.open_talker()
    await house.erase(anna)
    async with house.pool.acquire() as other, other.transaction():
        await other.execute(LOCK_LAST, anna)  # in its way, near the end
        killed = asyncio.create_task(house.runner().run())
        await house.dwindles(anna, to=2 * CHUNK)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        left, is_erasing = await house.left(anna)
    assert left > 0
    assert is_erasing
    while (await house.left(anna))[1]:
        await house.runner().round()
    assert await house.left(anna) == (0, False)


async def test_two_workers_at_once_do_no_harm(house: House) -> None:
    anna, ben = await house.open_talker(), await house.open_talker()
    cleo = await house.open_talker()
    for owner_id in (anna, ben):
        await house.erase(owner_id)
    runners = [house.runner(), house.runner()]
    for _ in range(2):
        for figures in await asyncio.gather(*(runner.round() for runner in runners)):
            assert figures.failed == 0
    await runners[0].round()
    for owner_id in (anna, ben):
        assert await house.left(owner_id) == (0, False)
    assert await house.left(cleo) == (MANY, False)


async def test_an_erasure_that_was_repeated_meanwhile_ends_when_all_of_it_is_gone(
    house: House,
) -> None:
    anna, ben = await house.open(), await house.open()
    await house.say(anna, ben)
    await house.erase(anna)
    worker = ErasureWorker(house.server.parts.pool)
    (earlier,) = await worker.due(utc_now(), 10)
    await house.say(anna, ben)
    await house.erase(anna)
    await worker.process(earlier)
    assert await house.left(anna) == (1, True)
    (later,) = await worker.due(utc_now(), 10)
    await worker.process(later)
    assert await house.left(anna) == (0, False)


async def test_many_erasures_of_somebody_without_a_wallet_hold_up_nobody(house: House) -> None:
    anna, ben = await house.open(), await house.open()
    refusals, gifts = await asyncio.gather(
        asyncio.gather(*(house.erase("nobody") for _ in range(40)), return_exceptions=True),
        asyncio.gather(*(house.say(anna, ben) for _ in range(164))),
    )
    assert {type(refusal) for refusal in refusals} == {giftpay.WalletNotFound}
    assert len(gifts) == 164
