"""The provider of payments: a clear answer is a result, anything else is no answer."""

import socket
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from giftpay_server.provider_http import ProviderUnavailable
from giftpay_server.top_up.providers import (
    ANSWERS,
    Payment,
    PaymentProvider,
    PaymentState,
    SandboxPayments,
)

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]

EUR_5 = {"currency": "EUR", "minor_units": 500}
PAID = {"reference": "ref", "state": "PAID", **EUR_5}


@pytest.fixture
def payments(session: aiohttp.ClientSession, sandbox: str) -> PaymentProvider:
    return SandboxPayments(session, sandbox, timeout_s=5)


async def test_a_paid_payment_is_found(payments: PaymentProvider, post: Wire, new: New) -> None:
    reference = new("payment")
    await post("/payments", {"reference": reference, **EUR_5})
    assert await payments.find(reference) == Payment(reference, PaymentState.PAID, "EUR", 500)


async def test_every_state_is_reported(
    payments: PaymentProvider, post: Wire, script: Any, new: New
) -> None:
    reference = new("payment")
    await script({"action": "pending_then_pay"}, reference=reference)
    await post("/payments", {"reference": reference, **EUR_5})
    seen = [await payments.find(reference), await payments.find(reference)]
    await post(f"/payments/{reference}/refund")
    seen.append(await payments.find(reference))
    declined = new("payment")
    await script({"action": "decline"}, reference=declined)
    await post("/payments", {"reference": declined, **EUR_5})
    seen.append(await payments.find(declined))
    assert [payment and payment.state for payment in seen] == [
        PaymentState.PENDING,
        PaymentState.PAID,
        PaymentState.REFUNDED,
        PaymentState.DECLINED,
    ]


async def test_an_unknown_payment_is_none(payments: PaymentProvider) -> None:
    assert await payments.find("nobody-paid-this") is None


@pytest.mark.parametrize(
    "reference", ["..", "../payouts", "a/b", "a%2Fb", "?a=b", "#a", "a b+c", "%", "é✓", "{id}", "{"]
)
async def test_a_reference_names_a_payment_and_never_another_route(
    payments: PaymentProvider, post: Wire, reference: str
) -> None:
    assert await payments.find(reference) is None
    await post("/payments", {"reference": reference, **EUR_5})
    found = await payments.find(reference)
    assert found is not None
    assert found.reference == reference


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_is_no_answer(
    payments: PaymentProvider, post: Wire, script: Any, new: New, status: int
) -> None:
    reference = new("payment")
    await post("/payments", {"reference": reference, **EUR_5})
    await script({"action": "refuse_before", "status": status}, reference=reference, call="find")
    with pytest.raises(ProviderUnavailable):
        await payments.find(reference)
    assert await payments.find(reference) is not None


async def test_a_dropped_connection_is_no_answer(
    payments: PaymentProvider, script: Any, new: New
) -> None:
    reference = new("payment")
    # aiohttp repeats a GET once where a kept connection turns out to be dead.
    await script(*[{"action": "lose_answer"}] * 2, reference=reference, call="find")
    with pytest.raises(ProviderUnavailable):
        await payments.find(reference)


async def test_an_answer_after_the_timeout_is_no_answer(
    session: aiohttp.ClientSession, sandbox: str, script: Any, new: New
) -> None:
    reference = new("payment")
    await script({"action": "answer_late", "delay_ms": 5_000}, reference=reference, call="find")
    with pytest.raises(ProviderUnavailable):
        await SandboxPayments(session, sandbox, timeout_s=0.2).find(reference)


async def test_an_unreachable_provider_is_no_answer(session: aiohttp.ClientSession) -> None:
    with socket.socket() as closed_port:
        closed_port.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{closed_port.getsockname()[1]}"
        with pytest.raises(ProviderUnavailable):
            await SandboxPayments(session, url, timeout_s=5).find("ref")


@pytest.mark.parametrize(("status", "says"), ANSWERS)
async def test_every_answer_means_what_the_table_says(
    session: aiohttp.ClientSession, misbehaving: Any, http_answer: Any, status: int, says: str
) -> None:
    body = {**PAID, "state": says} if status < 400 else {"error": {"code": says}}
    async with misbehaving(http_answer(status, body)) as url:
        found = await SandboxPayments(session, url, timeout_s=5).find("ref")
    state = ANSWERS[status, says]
    assert found == (Payment("ref", state, "EUR", 500) if state else None)


def test_nothing_but_paid_is_taken_for_paid() -> None:
    paid = [answer for answer, state in ANSWERS.items() if state is PaymentState.PAID]
    assert paid == [(200, "PAID")]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": {"code": "PAID"}}),
        (404, {**PAID, "state": "PAYMENT_NOT_FOUND"}),
        (201, PAID),
        (200, {}),
        (200, []),
        (200, None),
        (200, {**PAID, "reference": "another"}),
        (200, {**PAID, "state": "SETTLED"}),
        (200, {**PAID, "state": ["PAID"]}),
        (200, {**PAID, "currency": None}),
        (200, {**PAID, "minor_units": 5.0}),
        (200, {**PAID, "minor_units": True}),
        (200, {**PAID, "minor_units": 0}),
        (202, PAID),
        (302, PAID),
        (403, {"error": {"code": "FORBIDDEN"}}),
        (404, {"detail": "Not Found"}),
        (404, {"error": {"code": "ROUTE_NOT_FOUND"}}),
        (410, {"error": {"code": "PAYMENT_NOT_FOUND"}}),
        (503, PAID),
    ],
)
async def test_an_unclear_answer_is_no_answer(
    session: aiohttp.ClientSession, misbehaving: Any, http_answer: Any, status: int, body: Any
) -> None:
    async with misbehaving(http_answer(status, body)) as url:
        with pytest.raises(ProviderUnavailable):
            await SandboxPayments(session, url, timeout_s=5).find("ref")


async def test_a_redirect_of_the_provider_is_not_followed(
    session: aiohttp.ClientSession, sandbox: str, post: Wire, misbehaving: Any, http_answer: Any
) -> None:
    _, paid = await post("/payments", EUR_5)
    elsewhere = http_answer(302, {}, location=f"{sandbox}/payments/{paid['reference']}")
    async with misbehaving(elsewhere) as url:
        with pytest.raises(ProviderUnavailable):
            await SandboxPayments(session, url, timeout_s=5).find(paid["reference"])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
async def test_an_unreadable_answer_is_no_answer(
    session: aiohttp.ClientSession, misbehaving: Any, answer: bytes | None
) -> None:
    async with misbehaving(answer) as url:
        with pytest.raises(ProviderUnavailable):
            await SandboxPayments(session, url, timeout_s=0.5).find("ref")
