"""giftpay's side of the payouts: not sent, refused, or unknown are three different things."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from giftpay_server.provider_http import AnswerLost, ProviderUnavailable
from giftpay_server.redemption.providers import (
    PayoutAnswer,
    PayoutOrder,
    PayoutProvider,
    PayoutRejected,
    PayoutState,
    SandboxPayouts,
)
from giftpay_server.sandbox import DEDUPE_WINDOW

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]

ORDER = PayoutOrder("key", "mia@example.org", "EUR", 1_250)
PAID = {"key": "key", "state": "PAID"}

UNREADABLE = [
    None,
    b"",
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{",
    b"HTTP/1.1 201 Created\r\nContent-Length: 6\r\n\r\n<html>",
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\n<html>",
    b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
]
UNCLEAR: list[tuple[int, Any]] = [
    (200, {}),
    (200, []),
    (200, None),
    (201, {**PAID, "key": "another"}),
    (201, {**PAID, "state": "UNCLAIMED"}),
    (201, {**PAID, "state": None}),
    (202, PAID),
    (307, PAID),
    (400, {"detail": "Bad Request"}),
    (404, {"error": {"code": "ROUTE_NOT_FOUND"}}),
    (500, PAID),
    (504, {"error": {"code": "TIMEOUT"}}),
]


@pytest.fixture
def payouts(session: aiohttp.ClientSession, sandbox: str) -> PayoutProvider:
    return SandboxPayouts(session, sandbox, timeout_s=5)


def order(key: str, destination: str = "mia@example.org") -> PayoutOrder:
    return PayoutOrder(key, destination, "EUR", 1_250)


async def test_a_payout_is_paid_under_its_key(payouts: PayoutProvider, get: Wire, new: New) -> None:
    key = new("key")
    paid = PayoutAnswer(key, PayoutState.PAID, None)
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


async def test_an_unknown_payout_is_none(payouts: PayoutProvider) -> None:
    assert await payouts.find("never-submitted/..") is None


async def test_a_decline_is_an_answer_with_its_reason(payouts: PayoutProvider, new: New) -> None:
    key = new("key")
    answer = await payouts.submit(order(key, "decline@sandbox.example"))
    assert answer == PayoutAnswer(key, PayoutState.DECLINED, "ACCOUNT_CLOSED")
    assert await payouts.find(key) == answer


@pytest.mark.parametrize(
    ("destination", "submitted", "found"),
    [
        ("pending@sandbox.example", PayoutState.PENDING, PayoutState.PAID),
        ("returned@sandbox.example", PayoutState.PAID, PayoutState.RETURNED),
    ],
)
async def test_a_state_that_changes_later_is_seen_by_looking_again(
    payouts: PayoutProvider, new: New, destination: str, submitted: str, found: str
) -> None:
    key = new("key")
    assert (await payouts.submit(order(key, destination))).state == submitted
    await payouts.find(key)
    answer = await payouts.find(key)
    assert answer is not None
    assert answer.state == found


async def test_a_lost_answer_is_unknown_until_looked_up_and_has_paid_once(
    payouts: PayoutProvider, get: Wire, new: New
) -> None:
    lost = order(new("key"), "lost@sandbox.example")
    with pytest.raises(AnswerLost):
        await payouts.submit(lost)
    assert await payouts.find(lost.key) == PayoutAnswer(lost.key, PayoutState.PAID, None)
    assert (await payouts.submit(lost)).state == PayoutState.PAID
    _, listed = await get("/payouts")
    assert sum(made["key"] == lost.key for made in listed["payouts"]) == 1


async def test_an_answer_that_takes_too_long_is_lost_and_not_undone(
    session: aiohttp.ClientSession, sandbox: str, payouts: PayoutProvider, new: New
) -> None:
    late = order(new("key"), "late@sandbox.example")
    with pytest.raises(AnswerLost):
        await SandboxPayouts(session, sandbox, timeout_s=0.3).submit(late)
    assert await payouts.find(late.key) == PayoutAnswer(late.key, PayoutState.PAID, None)


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_is_a_lost_answer_even_where_nothing_was_done(
    payouts: PayoutProvider, script: Any, new: New, status: int
) -> None:
    refused = order(new("key"), new("ann"))
    await script({"action": "refuse_before", "status": status}, destination=refused.destination)
    with pytest.raises(AnswerLost):
        await payouts.submit(refused)
    assert await payouts.find(refused.key) is None
    assert (await payouts.submit(refused)).state == PayoutState.PAID


async def test_nobody_there_means_that_nothing_was_sent(session: aiohttp.ClientSession) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound and not listening: refused
        away = SandboxPayouts(session, f"http://127.0.0.1:{unheard.getsockname()[1]}", timeout_s=5)
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
        assert (await holder).state == PayoutState.PAID
        assert await crowded.find(unsent.key) is None


async def test_a_key_that_stands_for_another_payout_is_rejected(
    payouts: PayoutProvider, new: New
) -> None:
    key = new("key")
    await payouts.submit(order(key))
    with pytest.raises(PayoutRejected) as rejected:
        await payouts.submit(order(key, "eve@example.org"))
    assert rejected.value.code == "IDEMPOTENCY_KEY_REUSED"


async def test_an_order_that_the_provider_cannot_read_is_rejected(
    payouts: PayoutProvider, new: New
) -> None:
    with pytest.raises(PayoutRejected) as rejected:
        await payouts.submit(order(new("key"), destination="x" * 257))
    assert rejected.value.code == "MALFORMED"


@pytest.mark.parametrize(("status", "body"), UNCLEAR)
async def test_an_answer_that_is_not_clear_is_lost(
    session: aiohttp.ClientSession, misbehaving: Any, http_answer: Any, status: int, body: Any
) -> None:
    async with misbehaving(http_answer(status, body)) as url:
        unclear = SandboxPayouts(session, url, timeout_s=5)
        with pytest.raises(AnswerLost):
            await unclear.submit(ORDER)
        with pytest.raises(ProviderUnavailable):
            await unclear.find("key")


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
        with pytest.raises(AnswerLost):
            await redirecting.submit(order(key))
    assert await payouts.find(key) is None
    await payouts.submit(order(key))
    async with misbehaving(http_answer(302, {}, location=f"{sandbox}/payouts/{key}")) as url:
        with pytest.raises(ProviderUnavailable):
            await SandboxPayouts(session, url, timeout_s=5).find(key)


@pytest.mark.parametrize("answer", UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_lost(
    session: aiohttp.ClientSession, misbehaving: Any, answer: bytes | None
) -> None:
    async with misbehaving(answer) as url:
        unreadable = SandboxPayouts(session, url, timeout_s=0.3)
        with pytest.raises(AnswerLost):
            await unreadable.submit(ORDER)
        with pytest.raises(ProviderUnavailable):
            await unreadable.find("key")


async def test_a_look_up_that_fails_is_no_word(
    payouts: PayoutProvider, script: Any, new: New
) -> None:
    paid = order(new("key"), new("ann"))
    await payouts.submit(paid)
    failures = [{"action": "refuse_before"}, *[{"action": "lose_answer"}] * 2]
    await script(*failures, destination=paid.destination, call="find")
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await payouts.find(paid.key)
    assert await payouts.find(paid.key) is not None


async def test_the_window_is_the_sandbox_s_unless_it_is_set_otherwise(
    session: aiohttp.ClientSession, sandbox: str
) -> None:
    assert SandboxPayouts(session, sandbox).dedupe_window == DEDUPE_WINDOW
    short = SandboxPayouts(session, sandbox, dedupe_window=timedelta(hours=1))
    assert short.dedupe_window == timedelta(hours=1)


def test_an_order_in_a_log_line_does_not_show_whose_it_is() -> None:
    assert "mia@example.org" not in f"{ORDER!r} {ORDER}"
