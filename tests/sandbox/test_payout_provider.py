"""The provider of payouts: its requests to the sandbox, and how it reads the answers."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from giftpay_server.provider_http import ProviderUnavailable
from giftpay_server.redemption.providers import (
    PayoutAnswer,
    PayoutOrder,
    PayoutProvider,
    Result,
    SandboxPayouts,
)
from giftpay_server.sandbox import DEDUPE_WINDOW
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_DIFFERS,
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_REJECTED,
    PAYOUT_RESULT_RETURNED,
)

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]

ORDER = PayoutOrder("key", "mia@example.org", "EUR", 1_250)


@pytest.fixture
def payouts(session: aiohttp.ClientSession, sandbox: str) -> PayoutProvider:
    return SandboxPayouts(session, sandbox, timeout_s=5)


def order(key: str, destination: str = "mia@example.org") -> PayoutOrder:
    return PayoutOrder(key, destination, "EUR", 1_250)


async def test_a_payout_is_paid_under_its_key(payouts: PayoutProvider, get: Wire, new: New) -> None:
    key = new("key")
    paid = PayoutAnswer(PAYOUT_RESULT_PAID, "", "mia@example.org", "EUR", 1_250)
    assert await payouts.submit(order(key)) == paid
    assert await payouts.find(key) == paid
    _, made = await get(f"/payouts/{key}")
    assert made.items() >= {"destination": "mia@example.org", "minor_units": 1_250}.items()


async def test_submitted_again_it_is_looked_up(
    payouts: PayoutProvider, get: Wire, new: New
) -> None:
    key = new("key")
    assert await payouts.submit(order(key)) == await payouts.submit(order(key))
    assert (await get(f"/payouts/{key}"))[1]["submits"] == 2


async def test_an_unknown_payout_is_not_found(payouts: PayoutProvider) -> None:
    assert (await payouts.find("never-submitted/..")).result == PAYOUT_RESULT_NOT_FOUND


async def test_a_decline_is_an_answer_with_its_reason(payouts: PayoutProvider, new: New) -> None:
    key = new("key")
    declined = await payouts.submit(order(key, "decline@sandbox.example"))
    assert (declined.result, declined.reason) == (PAYOUT_RESULT_DECLINED, "ACCOUNT_CLOSED")
    assert await payouts.find(key) == declined


@pytest.mark.parametrize(
    ("destination", "submitted", "found"),
    [
        ("pending@sandbox.example", PAYOUT_RESULT_PENDING, PAYOUT_RESULT_PAID),
        ("returned@sandbox.example", PAYOUT_RESULT_PAID, PAYOUT_RESULT_RETURNED),
    ],
)
async def test_a_state_that_changes_later_is_found_by_another_look_up(
    payouts: PayoutProvider, new: New, destination: str, submitted: Result, found: Result
) -> None:
    key = new("key")
    assert (await payouts.submit(order(key, destination))).result == submitted
    await payouts.find(key)
    assert (await payouts.find(key)).result == found


async def test_a_lost_answer_is_unknown_until_looked_up_and_has_paid_once(
    payouts: PayoutProvider, get: Wire, new: New
) -> None:
    lost = order(new("key"), "lost@sandbox.example")
    assert (await payouts.submit(lost)).result == PAYOUT_RESULT_LOST
    assert (await payouts.find(lost.key)).result == PAYOUT_RESULT_PAID
    assert (await payouts.submit(lost, again=True)).result == PAYOUT_RESULT_PAID
    _, listed = await get("/payouts")
    assert sum(made["key"] == lost.key for made in listed["payouts"]) == 1


async def test_an_answer_that_takes_too_long_is_lost_and_not_undone(
    session: aiohttp.ClientSession, sandbox: str, payouts: PayoutProvider, new: New
) -> None:
    late = order(new("key"), "late@sandbox.example")
    hasty = SandboxPayouts(session, sandbox, timeout_s=0.3)
    assert (await hasty.submit(late)).result == PAYOUT_RESULT_LOST
    assert (await payouts.find(late.key)).result == PAYOUT_RESULT_PAID


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_is_a_lost_answer_even_where_nothing_was_done(
    payouts: PayoutProvider, script: Any, new: New, status: int
) -> None:
    refused = order(new("key"), new("ann"))
    await script({"action": "refuse_before", "status": status}, destination=refused.destination)
    assert (await payouts.submit(refused)).result == PAYOUT_RESULT_LOST
    assert (await payouts.find(refused.key)).result == PAYOUT_RESULT_NOT_FOUND
    assert (await payouts.submit(refused, again=True)).result == PAYOUT_RESULT_PAID


async def test_nobody_there_means_that_nothing_was_sent(session: aiohttp.ClientSession) -> None:
    with socket.socket() as closed_port:
        closed_port.bind(("127.0.0.1", 0))  # bound and not listening: refused
        away = SandboxPayouts(
            session, f"http://127.0.0.1:{closed_port.getsockname()[1]}", timeout_s=5
        )
        with pytest.raises(ProviderUnavailable):
            await away.submit(ORDER)
        with pytest.raises(ProviderUnavailable):
            await away.find("key")


async def test_no_free_connection_means_that_nothing_was_sent(sandbox: str, new: New) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as narrow:
        crowded = SandboxPayouts(narrow, sandbox, timeout_s=5)
        holder = asyncio.create_task(crowded.submit(order(new("key"), "late@sandbox.example")))
        await asyncio.sleep(0)  # the only connection is taken now
        unsent = order(new("key"))
        with pytest.raises(ProviderUnavailable):
            await SandboxPayouts(narrow, sandbox, timeout_s=0.4).submit(unsent)
        assert (await holder).result == PAYOUT_RESULT_PAID
        assert (await crowded.find(unsent.key)).result == PAYOUT_RESULT_NOT_FOUND


@pytest.mark.parametrize("again", [False, True])
async def test_a_key_that_is_known_with_other_contents_differs(
    payouts: PayoutProvider, new: New, again: bool
) -> None:
    key = new("key")
    await payouts.submit(order(key))
    differs = await payouts.submit(order(key, "eve@example.org"), again=again)
    assert differs == PayoutAnswer(PAYOUT_RESULT_DIFFERS, "IDEMPOTENCY_KEY_REUSED")


async def test_an_order_that_the_provider_cannot_read_is_rejected_the_first_time(
    payouts: PayoutProvider, new: New
) -> None:
    unreadable = order(new("key"), destination="x" * 257)
    rejected = PayoutAnswer(PAYOUT_RESULT_REJECTED, "MALFORMED")
    assert await payouts.submit(unreadable) == rejected
    assert (await payouts.submit(unreadable, again=True)).result == PAYOUT_RESULT_LOST


async def test_a_provider_cannot_send_an_order_on_to_another(
    session: aiohttp.ClientSession,
    sandbox: str,
    payouts: PayoutProvider,
    new: New,
    misbehaving: Any,
    http_answer: Any,
) -> None:
    key = new("key")
    async with misbehaving(http_answer(307, {}, location=f"{sandbox}/payouts")) as url:
        redirecting = SandboxPayouts(session, url, timeout_s=5)
        assert (await redirecting.submit(order(key))).result == PAYOUT_RESULT_LOST
    assert (await payouts.find(key)).result == PAYOUT_RESULT_NOT_FOUND
    await payouts.submit(order(key))
    async with misbehaving(http_answer(302, {}, location=f"{sandbox}/payouts/{key}")) as url:
        with pytest.raises(ProviderUnavailable):
            await SandboxPayouts(session, url, timeout_s=5).find(key)


async def test_a_failed_look_up_is_no_answer(
    payouts: PayoutProvider, script: Any, new: New
) -> None:
    paid = order(new("key"), new("ann"))
    await payouts.submit(paid)
    failures = [{"action": "refuse_before"}, *[{"action": "lose_answer"}] * 2]
    await script(*failures, destination=paid.destination, call="find")
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await payouts.find(paid.key)
    assert (await payouts.find(paid.key)).result == PAYOUT_RESULT_PAID


async def test_the_window_is_the_sandbox_s_unless_it_is_set_otherwise(
    session: aiohttp.ClientSession, sandbox: str
) -> None:
    assert SandboxPayouts(session, sandbox).dedupe_window == DEDUPE_WINDOW
    short = SandboxPayouts(session, sandbox, dedupe_window=timedelta(hours=1))
    assert short.dedupe_window == timedelta(hours=1)
