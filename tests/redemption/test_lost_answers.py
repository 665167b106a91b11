"""A payout whose answer was lost: only the provider's answer ends it, and it is paid once."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import timedelta

import giftpay
import pytest
from giftpay.v1 import CancelRedemptionRequest, Redemption

from tests.redemption.conftest import AMOUNT, DIAMONDS, Desk, new_destination

NOTHING_DONE = {"action": "refuse_before"}


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def is_paid_once(desk: Desk, made: Redemption, *, submits: int) -> None:
    assert await desk.state(made) == "PAID"
    assert await desk.payouts(made) == [("PAID", AMOUNT, submits)]
    assert await desk.diamonds(made.owner_id) == (0, 0)
    assert await desk.money(made) == [-AMOUNT]


async def test_a_lost_answer_is_looked_up_and_not_sent_again(desk: Desk) -> None:
    made = await desk.redeem("lost@sandbox.example")
    await desk.work()
    assert await desk.state(made) == "UNKNOWN"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, DIAMONDS)
    await desk.work(minutes=1)
    await is_paid_once(desk, made, submits=1)


async def test_a_late_answer_is_a_lost_one(desk: Desk) -> None:
    destination = new_destination()
    await desk.script(destination, {"action": "answer_late", "delay_ms": 1_000})
    made = await desk.redeem(destination)
    await desk.worker(timeout_s=0.3).round()
    assert await desk.state(made) == "UNKNOWN"
    await desk.work(minutes=1)
    await is_paid_once(desk, made, submits=1)


async def test_a_lost_answer_may_have_been_a_decline(desk: Desk) -> None:
    await desk.script("decline@sandbox.example", {"action": "lose_answer"})
    made = await desk.redeem("decline@sandbox.example")
    await desk.work()
    assert await desk.state(made) == "UNKNOWN"
    await desk.work(minutes=1)
    assert await desk.state(made) == "RETURNED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, 0)
    assert await desk.money(made) == []


async def test_what_the_provider_has_but_has_not_decided_is_no_longer_unknown(desk: Desk) -> None:
    await desk.script("pending@sandbox.example", {"action": "lose_answer"})
    made = await desk.redeem("pending@sandbox.example")
    await desk.work()
    assert await desk.state(made) == "UNKNOWN"
    await desk.work(minutes=1)
    assert await desk.state(made) == "SUBMITTED"
    await desk.work(minutes=2)
    await is_paid_once(desk, made, submits=1)


async def test_what_never_arrived_is_sent_again_under_the_same_key(desk: Desk) -> None:
    destination = new_destination()
    await desk.script(destination, NOTHING_DONE, NOTHING_DONE)
    made = await desk.redeem(destination)
    await desk.work()
    await desk.work(minutes=1)
    assert await desk.state(made) == "UNKNOWN"
    assert await desk.payouts(made) == []
    await desk.work(minutes=2)
    await is_paid_once(desk, made, submits=1)


async def test_what_arrives_after_it_was_sent_again_is_paid_once(desk: Desk) -> None:
    destination = new_destination()
    await desk.script(destination, {"action": "arrive_late", "delay_ms": 600})
    made = await desk.redeem(destination)
    await desk.worker(timeout_s=0.2).round()
    assert await desk.payouts(made) == []
    await desk.work(minutes=1)
    assert await desk.state(made) == "PAID"
    await desk.submits(made, times=2)
    await is_paid_once(desk, made, submits=2)


async def test_a_look_up_without_an_answer_changes_nothing(desk: Desk) -> None:
    destination = new_destination()
    await desk.script(destination, {"action": "lose_answer"})
    await desk.script(destination, NOTHING_DONE, NOTHING_DONE, call="find")
    made = await desk.redeem(destination)
    for minutes in (0, 1, 2):
        await desk.work(minutes=minutes)
        assert await desk.state(made) == "UNKNOWN"
    await desk.work(minutes=4)
    await is_paid_once(desk, made, submits=1)


async def test_a_payout_survives_a_provider_that_is_away(desk: Desk, nobody: str) -> None:
    made = await desk.redeem()
    await desk.worker(nobody).round()
    desk.clock.advance(minutes=1)
    await desk.worker(nobody).round()
    assert await desk.state(made) == "SUBMITTED"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, DIAMONDS)
    await desk.work(minutes=2)
    await is_paid_once(desk, made, submits=1)


async def test_past_the_dedupe_window_nothing_is_sent_and_an_operator_is_notified_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    destination = new_destination()
    await desk.script(destination, NOTHING_DONE)
    made = await desk.redeem(destination)
    await desk.work()
    with caplog.at_level(logging.WARNING, "giftpay_server.redemption"):
        for _ in range(3):
            await desk.work(days=28)
    lines = [record.getMessage() for record in caplog.records]
    left = f"redemption {made.redemption_id} is left to an operator"
    assert len([line for line in lines if line.startswith(left)]) == 1
    assert await desk.state(made) == "UNKNOWN"
    assert await desk.payouts(made) == []
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, DIAMONDS)
    with pytest.raises(giftpay.WrongRedemptionState):
        await desk.client.redemptions.CancelRedemption(
            CancelRedemptionRequest(redemption_id=made.redemption_id)
        )


async def test_past_the_dedupe_window_the_provider_s_answer_still_counts(desk: Desk) -> None:
    made = await desk.redeem("lost@sandbox.example")
    await desk.work()
    await desk.work(days=60)
    await is_paid_once(desk, made, submits=1)


async def test_a_provider_that_remembers_no_keys_is_sent_nothing_twice(desk: Desk) -> None:
    forgetful = desk.worker(dedupe_window=timedelta())
    destination = new_destination()
    await desk.script(destination, NOTHING_DONE)
    made, other = await desk.redeem(destination), await desk.redeem()
    await forgetful.round()
    await is_paid_once(desk, other, submits=1)
    desk.clock.advance(minutes=1)
    await forgetful.round()
    assert await desk.state(made) == "UNKNOWN"
    assert await desk.payouts(made) == []


async def test_an_erased_destination_is_not_sent_again_and_left_to_an_operator(desk: Desk) -> None:
    destination = new_destination()
    await desk.script(destination, NOTHING_DONE)
    made = await desk.redeem(destination)
    await desk.work()
    await desk.erase(made.owner_id)
    await desk.work(minutes=1)
    await desk.work(days=40)
    assert await desk.state(made) == "UNKNOWN"
    assert await desk.payouts(made) == []
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, DIAMONDS)
