"""What becomes of a payout: paid, declined, pending, waiting, erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from giftpay.v1 import (
    SYSTEM_ACCOUNT_PAYOUTS,
    TRANSACTION_KIND_PAYOUT_STEP,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
    Entry,
    ListEntriesRequest,
)
from giftpay_server.redemption.messages import begin_command
from giftpay_server.redemption.store import Due

from tests.redemption.conftest import AMOUNT, DIAMONDS, Desk, new_destination


async def last_entry(desk: Desk, owner_id: str) -> Entry:
    request = ListEntriesRequest(owner_id=owner_id, unit=UNIT_DIAMOND, page_size=1)
    return (await desk.client.wallets.ListEntries(request)).entries[0]


async def test_a_redemption_is_paid_once_and_its_diamonds_are_captured(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.work()
    paid = await desk.read(made)
    assert await desk.state(made) == "PAID"
    assert paid.provider_key == made.redemption_id
    assert paid.update_time.ToDatetime() > made.update_time.ToDatetime()
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]
    assert await desk.diamonds(made.owner_id) == (0, 0)
    assert await desk.money(made) == [-AMOUNT]
    entry = await last_entry(desk, made.owner_id)
    assert (entry.amount, entry.balance) == (-DIAMONDS, 0)
    assert entry.system_account == SYSTEM_ACCOUNT_PAYOUTS
    assert entry.kind == TRANSACTION_KIND_PAYOUT_STEP


async def test_a_declined_payout_gives_the_diamonds_back(desk: Desk) -> None:
    made = await desk.redeem("decline@sandbox.example")
    await desk.work()
    declined = await desk.read(made)
    assert await desk.state(made) == "RETURNED"
    assert declined.return_reason == "ACCOUNT_CLOSED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)
    assert (await last_entry(desk, made.owner_id)).amount == DIAMONDS  # what was earned
    assert await desk.money(made) == []
    await desk.redeem(owner_id=made.owner_id)


async def test_an_order_that_the_provider_cannot_take_gives_the_diamonds_back(desk: Desk) -> None:
    made = await desk.redeem("mia@example.org")
    async with asyncpg.create_pool(desk.server.parts.config.database_url, min_size=1) as operator:
        # More lines than the sandbox takes; our own wire takes no such address.
        sql = "UPDATE personal_data SET value = E'mia@\\nexample.org' WHERE transaction_id = $1"
        await operator.execute(sql, made.redemption_id)
    await desk.work()
    assert await desk.state(made) == "RETURNED"
    assert (await desk.read(made)).return_reason == "MALFORMED"
    assert await desk.payouts(made) == []
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)


@pytest.mark.parametrize(
    ("step", "state", "balance"),
    [
        ({"action": "pending_then_pay", "after_lookups": 1}, "PAID", (0, 0)),
        (
            {"action": "pending_then_decline", "after_lookups": 1, "reason": "NO_SUCH_BANK"},
            "RETURNED",
            (DIAMONDS, 0),
        ),
    ],
)
async def test_a_pending_payout_is_looked_up_until_it_is_decided(
    desk: Desk, step: dict[str, Any], state: str, balance: tuple[int, int]
) -> None:
    destination = new_destination()
    await desk.script(destination, step)
    made = await desk.redeem(destination)
    await desk.work()
    assert await desk.state(made) == "SUBMITTED"
    await desk.work(minutes=1)
    assert await desk.state(made) == "SUBMITTED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, DIAMONDS)
    await desk.work(minutes=2)
    assert await desk.state(made) == state
    assert await desk.diamonds(made.owner_id) == balance
    assert (await desk.read(made)).return_reason == step.get("reason", "")
    ((_, _, submits),) = await desk.payouts(made)
    assert submits == 1


async def test_a_pending_payout_that_nobody_claims_gives_the_diamonds_back(desk: Desk) -> None:
    destination = new_destination()
    await desk.script(destination, {"action": "pending_then_pay", "after_ms": 10**9})
    made = await desk.redeem(destination)
    await desk.work()
    await desk.give_back(made)
    await desk.work(minutes=1)
    assert await desk.state(made) == "RETURNED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)
    assert await desk.money(made) == []


async def test_a_payout_waits_while_its_wallet_is_frozen(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.set_status(made.owner_id, WALLET_STATUS_FROZEN)
    await desk.work()
    await desk.work(days=3)
    assert await desk.state(made) == "HELD"
    assert await desk.payouts(made) == []
    await desk.set_status(made.owner_id, WALLET_STATUS_ACTIVE)
    await desk.work()
    assert await desk.state(made) == "PAID"


async def test_a_wallet_frozen_at_the_last_moment_stops_the_payout(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.set_status(made.owner_id, WALLET_STATUS_FROZEN)
    found_before = Due(made.redemption_id, made.owner_id, 1, desk.clock())
    await desk.server.parts.journal.record(begin_command(found_before, timedelta(days=30)))
    assert await desk.state(made) == "HELD"
    await desk.set_status(made.owner_id, WALLET_STATUS_ACTIVE)
    await desk.work(minutes=1)
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]


async def test_what_was_sent_is_booked_for_a_frozen_wallet_too(desk: Desk) -> None:
    made = await desk.redeem("pending@sandbox.example")
    await desk.work()
    await desk.set_status(made.owner_id, WALLET_STATUS_FROZEN)
    await desk.work(minutes=1)
    await desk.work(minutes=2)
    assert await desk.state(made) == "PAID"
    assert await desk.diamonds(made.owner_id) == (0, 0)


async def test_what_the_provider_never_got_is_not_sent_again_for_a_frozen_wallet(
    desk: Desk,
) -> None:
    destination = new_destination()
    await desk.script(destination, {"action": "refuse_before"})
    made = await desk.redeem(destination)
    await desk.work()
    await desk.set_status(made.owner_id, WALLET_STATUS_FROZEN)
    await desk.work(days=1)
    assert await desk.payouts(made) == []
    await desk.set_status(made.owner_id, WALLET_STATUS_ACTIVE)
    await desk.work(days=1)
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]


async def test_a_destination_erased_before_it_was_sent_cancels_the_redemption(desk: Desk) -> None:
    made = await desk.redeem()
    await desk.erase(made.owner_id)
    await desk.work()
    assert await desk.state(made) == "CANCELLED"
    erased = await desk.read(made)
    assert (erased.return_reason, erased.destination) == ("DESTINATION_ERASED", "")
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)
    assert await desk.payouts(made) == []


async def test_a_destination_erased_after_it_was_sent_changes_nothing(desk: Desk) -> None:
    made = await desk.redeem("pending@sandbox.example")
    await desk.work()
    await desk.erase(made.owner_id)
    await desk.work(minutes=1)
    await desk.work(minutes=2)
    assert await desk.state(made) == "PAID"
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]


@pytest.fixture
async def rambling_provider() -> AsyncIterator[str]:
    """Declines everything, with a reason that neither a row nor a message can hold."""

    async def decline(request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        reason = "\\ud800 no\\u0000 " + "way " * 100
        body = f'{{"key": "{key}", "state": "DECLINED", "decline_reason": "{reason}"}}'
        return web.Response(text=body, status=201, content_type="application/json")

    application = web.Application()
    application.add_routes([web.post("/payouts", decline)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_any_reason_of_a_provider_decides_the_payout(
    desk: Desk, rambling_provider: str
) -> None:
    made = await desk.redeem()
    await desk.worker(rambling_provider).round()
    assert await desk.state(made) == "RETURNED"
    reason = (await desk.read(made)).return_reason
    assert reason.startswith("? no way way")
    assert len(reason) == 200
