"""Money that comes back after it was paid: paid is not the end for thirty days."""

from __future__ import annotations

from datetime import timedelta

import pytest
from giftpay.v1 import (
    UNIT_DIAMOND,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    ListEntriesRequest,
    WalletStatus,
)
from giftpay_server.redemption.steps import RETURN_WINDOW

from tests.redemption.conftest import AMOUNT, DIAMONDS, Desk


async def test_money_that_comes_back_is_credited_by_an_entry_of_its_own(desk: Desk) -> None:
    made = await desk.redeem("returned@sandbox.example")
    await desk.work()
    assert await desk.state(made) == "PAID"
    assert await desk.diamonds(made.owner_id) == (0, 0)
    await desk.work(hours=1)
    assert await desk.state(made) == "PAID"
    await desk.work(hours=2)
    assert await desk.state(made) == "RETURNED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)
    assert await desk.money(made) == [-AMOUNT, AMOUNT]
    request = ListEntriesRequest(owner_id=made.owner_id, unit=UNIT_DIAMOND)
    entries = (await desk.client.wallets.ListEntries(request)).entries
    assert [entry.amount for entry in entries] == [DIAMONDS, -DIAMONDS, DIAMONDS]
    assert entries[0].transaction_id != entries[1].transaction_id
    await desk.work(days=2)
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)


@pytest.mark.parametrize("status", [WALLET_STATUS_FROZEN, WALLET_STATUS_CLOSED])
async def test_money_that_comes_back_is_credited_whatever_the_wallet_s_status(
    desk: Desk, status: WalletStatus.ValueType
) -> None:
    made = await desk.redeem()
    await desk.work()
    await desk.set_status(made.owner_id, status)
    await desk.give_back(made)
    await desk.work(hours=1)
    assert await desk.state(made) == "RETURNED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)


async def test_a_return_on_the_last_day_is_seen(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.work()
    day = timedelta(days=1)
    for _ in range(RETURN_WINDOW // day - 1):
        await desk.work(days=1)
    await desk.give_back(made)
    await desk.work(days=1)
    assert await desk.state(made) == "RETURNED"


async def test_after_the_window_the_provider_is_not_asked_again(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.work()
    await desk.work(days=30)
    await desk.give_back(made)
    await desk.work(days=1)
    await desk.work(days=300)
    assert await desk.state(made) == "PAID"
