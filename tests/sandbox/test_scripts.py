"""Scripts: every way in which a provider's call can fail."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from giftpay_server.sandbox import running_sandbox

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]

EUR_5 = {"currency": "EUR", "minor_units": 500}
LOOK_UP_STATES = [
    ("pending_then_pay", "PENDING", "PAID"),
    ("pending_then_decline", "PENDING", "DECLINED"),
    ("return_after_paying", "PAID", "RETURNED"),
]


def payout(destination: str) -> dict[str, Any]:
    return {"destination": destination, **EUR_5}


async def states(count: int, key: str, get: Wire) -> list[str]:
    """The states that the next look-ups return."""
    return [(await get(f"/payouts/{key}"))[1]["state"] for _ in range(count)]


async def test_each_step_applies_to_one_call_and_later_calls_are_normal(
    post: Wire, script: Any, new: New
) -> None:
    ann = new("ann")
    await script({"action": "decline", "reason": "NAME_MISMATCH"}, destination=ann)
    await script({"action": "refuse_before", "status": 500}, {"action": "pay"}, destination=ann)
    _, declined = await post("/payouts", payout(ann), key=new("key"))
    assert (declined["state"], declined["decline_reason"]) == ("DECLINED", "NAME_MISMATCH")
    assert (await post("/payouts", payout(ann), key=new("key")))[0] == 500
    for _ in range(2):
        assert (await post("/payouts", payout(ann), key=new("key")))[1]["state"] == "PAID"


async def test_a_script_does_not_affect_other_destinations(
    post: Wire, script: Any, new: New
) -> None:
    ann, ben = new("ann"), new("ben")
    await script({"action": "decline"}, destination=ann)
    await script({"action": "decline"}, reference=ben)
    assert (await post("/payouts", payout(ben), key=new("key")))[1]["state"] == "PAID"
    _, paid = await post("/payments", {"reference": ann, **EUR_5})
    assert paid["state"] == "PAID"


async def test_a_script_without_a_match_applies_to_all_calls(post: Wire, get: Wire) -> None:
    async with running_sandbox() as url:
        step = {"action": "refuse_before"}
        for call in ("submit", "find"):
            await post("/scripts", {"kind": "payout", "call": call, "steps": [step]}, url=url)
        assert (await post("/payouts", payout("ann"), key="key", url=url))[0] == 503
        assert (await get("/payouts/unknown", url=url))[0] == 503
        assert (await get("/payouts/unknown", url=url))[0] == 404


async def test_a_refused_call_has_done_nothing(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "refuse_before"}, destination=ann)
    status, refused = await post("/payouts", payout(ann), key=key)
    assert (status, refused["error"]["code"]) == (503, "UNAVAILABLE")
    assert (await get(f"/payouts/{key}"))[0] == 404
    # Nothing was stored under the key, so the next try is the first.
    assert (await post("/payouts", payout(ann), key=key))[0] == 201


async def test_a_malformed_call_uses_up_no_step(post: Wire, script: Any, new: New) -> None:
    ann = new("ann")
    await script({"action": "decline"}, destination=ann)
    assert (await post("/payouts", {**payout(ann), "minor_units": 0}, key=new("key")))[0] == 400
    assert (await post("/payouts", payout(ann), key=new("key")))[1]["state"] == "DECLINED"


@pytest.mark.parametrize(("action", "before", "after"), LOOK_UP_STATES)
async def test_a_state_turns_after_so_many_look_ups(
    post: Wire, get: Wire, script: Any, new: New, action: str, before: str, after: str
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": action, "after_lookups": 2}, destination=ann)
    assert (await post("/payouts", payout(ann), key=key))[1]["state"] == before
    assert await states(4, key, get) == [before, before, after, after]


@pytest.mark.parametrize(("action", "before", "after"), LOOK_UP_STATES)
async def test_a_state_turns_after_so_many_milliseconds(
    post: Wire, get: Wire, action: str, before: str, after: str
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with running_sandbox(clock=lambda: now) as url:
        step = {"action": action, "after_ms": 5_000}
        await post("/scripts", {"kind": "payout", "steps": [step]}, url=url)
        await post("/payouts", payout("ann"), key="key", url=url)
        now += timedelta(milliseconds=4_999)
        for _ in range(3):
            assert (await get("/payouts/key", url=url))[1]["state"] == before
        now += timedelta(milliseconds=1)
        assert (await get("/payouts/key", url=url))[1]["state"] == after


async def test_a_submit_under_a_known_key_counts_as_a_look_up(
    post: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "pending_then_pay", "after_lookups": 1}, destination=ann)
    answers = [(await post("/payouts", payout(ann), key=key))[1]["state"] for _ in range(3)]
    assert answers == ["PENDING", "PENDING", "PAID"]


async def test_a_pending_payout_may_be_declined_for_a_reason(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    step = {"action": "pending_then_decline", "after_lookups": 0, "reason": "BANK_SAID_NO"}
    await script(step, destination=ann)
    _, pending = await post("/payouts", payout(ann), key=key)
    assert "decline_reason" not in pending
    assert (await get(f"/payouts/{key}"))[1]["decline_reason"] == "BANK_SAID_NO"


async def test_a_payment_can_be_scripted_too(post: Wire, get: Wire, script: Any, new: New) -> None:
    reference = new("payment")
    await script({"action": "pending_then_pay"}, reference=reference)
    _, made = await post("/payments", {"reference": reference, **EUR_5})
    found = [(await get(f"/payments/{reference}"))[1]["state"] for _ in range(2)]
    assert [made["state"], *found] == ["PENDING", "PENDING", "PAID"]


async def test_a_lost_answer_has_paid_once_all_the_same(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "lose_answer"}, {"action": "lose_answer"}, destination=ann)
    for _ in range(2):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await post("/payouts", payout(ann), key=key)
    status, found = await get(f"/payouts/{key}")
    assert (status, found["state"], found["submits"]) == (200, "PAID", 2)
    _, listed = await get("/payouts")
    assert [made["key"] for made in listed["payouts"] if made["destination"] == ann] == [key]


async def test_a_late_answer_is_about_what_was_done_at_once(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "answer_late", "delay_ms": 60_000}, destination=ann)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(post("/payouts", payout(ann), key=key), 0.2)
    assert (await get(f"/payouts/{key}"))[1]["state"] == "PAID"


async def test_a_late_arrival_is_unknown_until_it_arrives(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "arrive_late", "delay_ms": 500}, destination=ann)
    submitting = asyncio.create_task(post("/payouts", payout(ann), key=key))
    await asyncio.sleep(0.1)
    assert (await get(f"/payouts/{key}"))[0] == 404
    # The one way to be sure of it: under the same key, whichever comes second is the look-up.
    assert (await post("/payouts", payout(ann), key=key))[0] == 201
    assert (await submitting)[0] == 200


async def test_a_duplicated_call_is_deduplicated_by_its_key(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "duplicated"}, destination=ann)
    _, paid = await post("/payouts", payout(ann), key=key)
    assert (paid["state"], paid["submits"]) == ("PAID", 2)
    _, listed = await get("/payouts")
    assert sum(made["destination"] == ann for made in listed["payouts"]) == 1


async def test_a_look_up_can_fail_on_its_own(post: Wire, get: Wire, script: Any, new: New) -> None:
    ann, key = new("ann"), new("key")
    await script({"action": "refuse_before", "status": 502}, destination=ann, call="find")
    assert (await post("/payouts", payout(ann), key=key))[0] == 201
    assert (await get(f"/payouts/{key}"))[0] == 502
    assert (await get(f"/payouts/{key}"))[0] == 200


async def test_a_failure_leaves_the_outcome_to_the_destination(
    post: Wire, get: Wire, script: Any, new: New
) -> None:
    magic, key = "decline@sandbox.example", new("key")
    await script({"action": "lose_answer"}, destination=magic)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post("/payouts", payout(magic), key=key)
    assert await states(1, key, get) == ["DECLINED"]


async def test_a_scripted_outcome_is_stronger_than_a_magic_destination(
    post: Wire, script: Any, new: New
) -> None:
    magic = "decline@sandbox.example"
    await script({"action": "pay"}, destination=magic)
    assert (await post("/payouts", payout(magic), key=new("key")))[1]["state"] == "PAID"
    assert (await post("/payouts", payout(magic), key=new("key")))[1]["state"] == "DECLINED"
