"""Payouts at the sandbox: one key pays once within the deduplication window."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from giftpay_server.sandbox import DEDUPE_WINDOW, running_sandbox

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]

PAYOUT = {"destination": "mia@example.org", "currency": "EUR", "minor_units": 1_250}


async def made_under(key: str, get: Wire, **at: str) -> int:
    """How many payouts were really made under this key."""
    _, listed = await get("/payouts", **at)
    return sum(payout["key"] == key for payout in listed["payouts"])


async def test_a_payout_is_paid_and_can_be_looked_up(post: Wire, get: Wire, new: New) -> None:
    key = new("key")
    status, made = await post("/payouts", PAYOUT, key=key)
    assert status == 201
    assert made.items() >= {"key": key, "state": "PAID", **PAYOUT}.items()
    assert "decline_reason" not in made
    assert await get(f"/payouts/{key}") == (200, made)


async def test_the_same_key_again_is_a_look_up_and_never_a_second_payout(
    post: Wire, get: Wire, new: New
) -> None:
    key = new("key")
    await post("/payouts", PAYOUT, key=key)
    status, again = await post("/payouts", PAYOUT, key=key)
    assert (status, again["state"], again["submits"]) == (200, "PAID", 2)
    assert await made_under(key, get) == 1


@pytest.mark.parametrize(
    ("field", "other"),
    [("destination", "eve@example.org"), ("currency", "USD"), ("minor_units", 1_251)],
)
async def test_a_key_cannot_be_used_for_another_payout(
    post: Wire, get: Wire, new: New, field: str, other: str | int
) -> None:
    key = new("key")
    _, made = await post("/payouts", PAYOUT, key=key)
    status, refused = await post("/payouts", {**PAYOUT, field: other}, key=key)
    assert status == 409
    assert refused["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert refused["error"]["field"] == field
    assert await get(f"/payouts/{key}") == (200, made)
    assert await made_under(key, get) == 1


async def test_a_declined_payout_stays_declined_under_its_key(post: Wire, new: New) -> None:
    key = new("key")
    declined = {**PAYOUT, "destination": "decline@sandbox.example"}
    for expected in (201, 200):
        status, answer = await post("/payouts", declined, key=key)
        assert (status, answer["state"]) == (expected, "DECLINED")


async def test_two_keys_are_two_payouts_listed_oldest_first(
    post: Wire, get: Wire, new: New
) -> None:
    keys = [new("key"), new("key")]
    for key in keys:
        await post("/payouts", PAYOUT, key=key)
    _, listed = await get("/payouts")
    assert [payout["key"] for payout in listed["payouts"] if payout["key"] in keys] == keys


async def test_an_unknown_payout_is_not_found(post: Wire, get: Wire) -> None:
    for status, refused in (await get("/payouts/unknown"), await post("/payouts/unknown/return")):
        assert (status, refused["error"]["code"]) == (404, "PAYOUT_NOT_FOUND")


async def test_a_paid_payout_can_come_back(post: Wire, get: Wire, new: New) -> None:
    key = new("key")
    await post("/payouts", PAYOUT, key=key)
    for _ in range(2):
        status, returned = await post(f"/payouts/{key}/return")
        assert (status, returned["state"]) == (200, "RETURNED")
    assert await get(f"/payouts/{key}") == (200, returned)
    assert (await post("/payouts", PAYOUT, key=key))[1]["state"] == "RETURNED"


async def test_a_payout_that_nobody_claims_comes_back_without_ever_being_paid(
    post: Wire, get: Wire, new: New
) -> None:
    key = new("key")
    unclaimed = {**PAYOUT, "destination": "pending@sandbox.example"}
    assert (await post("/payouts", unclaimed, key=key))[1]["state"] == "PENDING"
    await post(f"/payouts/{key}/return")
    for _ in range(3):
        assert (await get(f"/payouts/{key}"))[1]["state"] == "RETURNED"


async def test_a_declined_payout_has_nothing_to_come_back(post: Wire, new: New) -> None:
    key = new("key")
    await post("/payouts", {**PAYOUT, "destination": "decline@sandbox.example"}, key=key)
    status, refused = await post(f"/payouts/{key}/return")
    assert (status, refused["error"]["code"]) == (409, "PAYOUT_NOT_PAID")


async def test_after_the_window_the_same_key_pays_again(post: Wire, get: Wire) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with running_sandbox(clock=lambda: now) as url:
        await post("/payouts", PAYOUT, key="key", url=url)
        now += DEDUPE_WINDOW - timedelta(milliseconds=1)
        assert (await post("/payouts", PAYOUT, key="key", url=url))[0] == 200
        assert await made_under("key", get, url=url) == 1
        # The replay has not restarted the window.
        now += timedelta(milliseconds=1)
        status, second = await post("/payouts", {**PAYOUT, "minor_units": 1}, key="key", url=url)
        assert (status, second["submits"]) == (201, 1)
        assert await made_under("key", get, url=url) == 2
        assert await get("/payouts/key", url=url) == (200, second)
        # The key now belongs to the second; the first is unchanged.
        await post("/payouts/key/return", url=url)
        _, listed = await get("/payouts", url=url)
        assert [payout["state"] for payout in listed["payouts"]] == ["PAID", "RETURNED"]


async def test_a_key_and_a_reference_with_the_same_text_are_unrelated(
    post: Wire, get: Wire, new: New
) -> None:
    name = new("name")
    _, payout = await post("/payouts", PAYOUT, key=name)
    assert (await get(f"/payments/{name}"))[0] == 404
    payment = {"reference": name, "currency": "USD", "minor_units": 1}
    assert (await post("/payments", payment))[0] == 201
    assert await get(f"/payouts/{name}") == (200, payout)
    await post(f"/payouts/{name}/return")
    assert (await get(f"/payments/{name}"))[1]["state"] == "PAID"


async def test_the_window_is_a_setting(post: Wire, get: Wire) -> None:
    async with running_sandbox(dedupe_window=timedelta()) as url:
        assert (await post("/payouts", PAYOUT, key="key", url=url))[0] == 201
        assert (await post("/payouts", PAYOUT, key="key", url=url))[0] == 201
        assert await made_under("key", get, url=url) == 2


async def test_a_payment_reference_is_remembered_past_every_window(post: Wire) -> None:
    payment = {"reference": "payment", "currency": "EUR", "minor_units": 500}
    async with running_sandbox(dedupe_window=timedelta()) as url:
        assert (await post("/payments", payment, url=url))[0] == 201
        assert (await post("/payments", payment, url=url))[0] == 200


async def test_a_book_remembers_everything_across_restarts(
    post: Wire, get: Wire, tmp_path: Path
) -> None:
    book = tmp_path / "book.sqlite"
    pending = {**PAYOUT, "destination": "pending@sandbox.example"}
    async with running_sandbox(book=book) as url:
        _, payment = await post("/payments", {"currency": "EUR", "minor_units": 500}, url=url)
        _, paid = await post("/payouts", PAYOUT, key="paid", url=url)
        await post("/payouts", pending, key="pending", url=url)
        await post(
            "/scripts",
            {"kind": "payout", "steps": [{"action": "refuse_before"}, {"action": "decline"}]},
            url=url,
        )
        assert (await post("/payouts", PAYOUT, key="scripted", url=url))[0] == 503
    async with running_sandbox(book=book) as url:
        assert await get(f"/payments/{payment['reference']}", url=url) == (200, payment)
        assert await get("/payouts/paid", url=url) == (200, paid)
        states = [(await get("/payouts/pending", url=url))[1]["state"] for _ in range(2)]
        assert states == ["PENDING", "PAID"]
        assert (await post("/payouts", PAYOUT, key="scripted", url=url))[1]["state"] == "DECLINED"


async def test_without_a_book_nothing_is_remembered(post: Wire, get: Wire) -> None:
    async with running_sandbox() as url:
        await post("/payouts", PAYOUT, key="key", url=url)
    async with running_sandbox() as url:
        assert (await get("/payouts", url=url)) == (200, {"payouts": []})
