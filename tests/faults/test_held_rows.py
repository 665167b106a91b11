"""A row that another session has locked delays only the commands that need it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    REDEMPTION_STATE_PAID,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
    AdjustBalanceRequest,
    CreateRedemptionRequest,
    GetRedemptionRequest,
    UpdateWalletRequest,
)

from tests.faults import held_rows
from tests.faults.attempts import assert_unavailable, attempt, until
from tests.faults.crowds import AT_LEAST, COINS, crowd, rose
from tests.faults.held_rows import held
from tests.stories.processes import ServerProcess, server_process
from tests.stories.wallets import apply_catalog, open_wallet, prove_books

VIEWERS, FANS = 20, 5
PATIENCE_S = 30  # to be served once the row is free
BOUND_S = 15  # in which a command ends whose row is not


@dataclass(frozen=True, slots=True)
class Place:
    """A server, and the database below it."""

    server: ServerProcess
    client: Client
    dsn: str

    @asynccontextmanager
    async def others_go_on_beside(
        self, statement: str, *arguments: Any, delayed: str = ""
    ) -> AsyncIterator[None]:
        """Asserts that other gifts keep their rate while the body needs the locked row.

        The log names the owners whose commands are delayed, and the session that delays them.
        """
        viewers, said_before = await crowd(self.client, viewers=VIEWERS), len(self.server.log())
        async with viewers.sending(self.client):
            undisturbed = await viewers.answered_in_a_slice()
            async with held(self.dsn, statement, *arguments) as holder:
                yield
                await holder.until_met()
                beside = await viewers.answered_in_a_slice()
        assert beside * AT_LEAST >= undisturbed, (beside, undisturbed)
        said = self.server.log()[said_before:]
        assert "the database is away" not in said
        if delayed:
            assert re.search(rf"\b{holder.pid}\b.*\b{delayed}\b", said), (holder.pid, said)
        await viewers.prove_answers(self.client)
        await prove_books(self.client)


@pytest.fixture(scope="module")
async def place(new_database: Callable[[], Awaitable[str]], sandbox: str) -> AsyncIterator[Place]:
    dsn = await new_database()
    async with (
        server_process(DATABASE_URL=dsn, SANDBOX_URL=sandbox, PAYOUT_POLL_S="0.2") as server,
        giftpay.connect(server.address, timeout=PATIENCE_S) as client,
    ):
        await apply_catalog(client)
        yield Place(server, client, dsn)


async def test_a_locked_account_delays_only_gifts_to_it(place: Place) -> None:
    star = await open_wallet(place.client)
    fans = await crowd(place.client, viewers=FANS, stars=[star])
    async with fans.sending(place.client):
        async with place.others_go_on_beside(held_rows.ACCOUNT, star, delayed=star):
            pass
        await fans.until_answered(FANS, within_s=PATIENCE_S)
    await fans.prove_answers(place.client)


async def test_a_gift_to_an_account_that_stays_locked_ends_in_bounded_time(place: Place) -> None:
    gift = rose(await open_wallet(place.client, coins=COINS), await open_wallet(place.client))
    async with held(place.dsn, held_rows.ACCOUNT, gift.recipient_id):
        assert_unavailable(await attempt(place.server.address, gift, timeout_s=BOUND_S))
    assert not (await place.client.gifts.SendGift(gift)).replayed
    assert (await place.client.gifts.SendGift(gift)).replayed
    await prove_books(place.client)


async def test_a_locked_owner_delays_only_its_own_changes(place: Place) -> None:
    owner_id = await open_wallet(place.client)
    change = UpdateWalletRequest(owner_id=owner_id, age_verified=True)
    async with place.others_go_on_beside(held_rows.OWNER, owner_id, delayed=owner_id):
        changed = asyncio.ensure_future(place.client.wallets.UpdateWallet(change))
    await changed
    assert (await place.client.wallets.UpdateWallet(change)).replayed


async def test_a_locked_redemption_delays_only_its_own_payout(place: Place) -> None:
    owner_id, redemption_id = await frozen_redemption(place)
    thaw = UpdateWalletRequest(owner_id=owner_id, status=WALLET_STATUS_ACTIVE)
    async with place.others_go_on_beside(held_rows.REDEMPTION, redemption_id, delayed=owner_id):
        await place.client.wallets.UpdateWallet(thaw)  # from now on the payout is due

    async def is_paid() -> bool:
        named = GetRedemptionRequest(redemption_id=redemption_id)
        found = await place.client.redemptions.GetRedemption(named)
        return found.redemption.state == REDEMPTION_STATE_PAID

    await until(is_paid, within_s=PATIENCE_S)


async def frozen_redemption(place: Place) -> tuple[str, str]:
    """An owner, and what it redeems; not due while its wallet is frozen."""
    owner_id = await open_wallet(place.client)
    earned = AdjustBalanceRequest(
        owner_id=owner_id, unit=UNIT_DIAMOND, amount=COINS, reason="earned"
    )
    await place.client.admin.AdjustBalance(earned)
    wanted = CreateRedemptionRequest(
        owner_id=owner_id, diamonds=COINS, currency_code="EUR", destination="mia@example.org"
    )
    freeze = UpdateWalletRequest(owner_id=owner_id, status=WALLET_STATUS_FROZEN)
    # By a server without a provider: this one would pay at once.
    async with (
        server_process(DATABASE_URL=place.dsn) as other,
        giftpay.connect(other.address) as client,
    ):
        made = (await client.redemptions.CreateRedemption(wanted)).redemption
        await client.wallets.UpdateWallet(freeze)
    return owner_id, made.redemption_id


async def test_an_uncommitted_key_delays_only_its_own_gift(place: Place) -> None:
    gift = rose(await open_wallet(place.client, coins=COINS), await open_wallet(place.client))
    key = gift.idempotency_key
    async with place.others_go_on_beside(held_rows.KEY, key, delayed=gift.sender_id):
        sent = asyncio.ensure_future(place.client.gifts.SendGift(gift))
    await sent
    assert (await place.client.gifts.SendGift(gift)).replayed


async def test_a_locked_stripe_delays_nobody(place: Place) -> None:
    async with place.others_go_on_beside(held_rows.STRIPE):
        pass


async def test_a_gift_with_two_locked_accounts_is_sent_once_they_are_free(place: Place) -> None:
    gift = rose(await open_wallet(place.client, coins=COINS), await open_wallet(place.client))
    owners = [gift.sender_id, gift.recipient_id]

    async def are_named() -> bool:
        return all(owner in place.server.log() for owner in owners)

    async with held(place.dsn, held_rows.ACCOUNTS, owners):
        sent = asyncio.ensure_future(place.client.gifts.SendGift(gift))
        await until(are_named, within_s=BOUND_S)
    assert not (await sent).replayed
    assert (await place.client.gifts.SendGift(gift)).replayed
    await prove_books(place.client)
