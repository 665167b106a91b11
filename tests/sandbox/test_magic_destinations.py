"""Magic destinations: scripts that need no call."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]


def payout(destination: str) -> dict[str, Any]:
    return {"destination": destination, "currency": "EUR", "minor_units": 500}


async def states(count: int, key: str, get: Wire) -> list[str]:
    """The states that the next look-ups return."""
    return [(await get(f"/payouts/{key}"))[1]["state"] for _ in range(count)]


async def test_decline_at_the_sandbox_is_declined(post: Wire, new: New) -> None:
    _, declined = await post("/payouts", payout("decline@sandbox.example"), key=new("key"))
    assert (declined["state"], declined["decline_reason"]) == ("DECLINED", "ACCOUNT_CLOSED")


async def test_lost_at_the_sandbox_loses_the_first_answer_only(
    post: Wire, get: Wire, new: New
) -> None:
    lost, key = payout("lost@sandbox.example"), new("key")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post("/payouts", lost, key=key)
    assert await states(1, key, get) == ["PAID"]
    assert (await post("/payouts", lost, key=key))[0] == 200


async def test_late_at_the_sandbox_answers_the_first_call_late(
    post: Wire, get: Wire, new: New
) -> None:
    late, key = payout("late@sandbox.example"), new("key")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(post("/payouts", late, key=key), 0.3)
    assert await states(1, key, get) == ["PAID"]
    assert (await asyncio.wait_for(post("/payouts", late, key=new("key")), 5))[0] == 201


async def test_pending_at_the_sandbox_is_paid_at_the_second_look_up(
    post: Wire, get: Wire, new: New
) -> None:
    key = new("key")
    _, pending = await post("/payouts", payout("pending@sandbox.example"), key=key)
    assert pending["state"] == "PENDING"
    assert await states(3, key, get) == ["PENDING", "PAID", "PAID"]


async def test_returned_at_the_sandbox_comes_back_at_the_second_look_up(
    post: Wire, get: Wire, new: New
) -> None:
    key = new("key")
    _, paid = await post("/payouts", payout("returned@sandbox.example"), key=key)
    assert paid["state"] == "PAID"
    assert await states(3, key, get) == ["PAID", "RETURNED", "RETURNED"]
