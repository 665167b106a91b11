"""The meanings of a payout provider's answers: those of the table; all others mean nothing."""

from typing import Any

import aiohttp
import pytest
from giftpay_server.provider_http import ProviderUnavailable
from giftpay_server.redemption.providers import (
    ANSWERS,
    PayoutAnswer,
    PayoutOrder,
    PayoutProvider,
    ProviderCall,
    Result,
    SandboxPayouts,
    compared,
)
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_DIFFERS,
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_REJECTED,
    PAYOUT_RESULT_RETURNED,
    PayoutResult,
)

ORDER = PayoutOrder("key", "mia@example.org", "EUR", 1_250)
PAID = {"key": "key", "state": "PAID"}

STATES = [
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_RETURNED,
]
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
    (200, {**PAID, "minor_units": "1250"}),
    (200, {**PAID, "minor_units": 1250.0}),
    (200, {**PAID, "currency": ["EUR"]}),
    (200, {"error": {"code": "PAID"}}),
    (400, {**PAID, "state": "MALFORMED"}),
    (400, {"error": {"code": "BAD_REQUEST"}}),
    (403, {"error": {"code": "MALFORMED"}}),
    (409, {"error": {"code": "PAYOUT_NOT_PAID"}}),
    (202, PAID),
    (307, PAID),
    (400, {"detail": "Bad Request"}),
    (404, {"error": {"code": "ROUTE_NOT_FOUND"}}),
    (500, PAID),
    (504, {"error": {"code": "TIMEOUT"}}),
]


def answer(result: Result, **contents: Any) -> PayoutAnswer:
    """An answer about ORDER, unless `contents` differ."""
    usual = {"destination": "mia@example.org", "currency": "EUR", "minor_units": 1_250}
    return PayoutAnswer(result, **{**usual, **contents})


async def asked(provider: PayoutProvider, call: ProviderCall) -> Result:
    """The result of one call about ORDER."""
    if call is ProviderCall.LOOK_UP:
        return (await provider.find(ORDER.key)).result
    return (await provider.submit(ORDER, again=call is ProviderCall.REPEATED_SEND)).result


@pytest.mark.parametrize("call", ProviderCall)
@pytest.mark.parametrize(("status", "says"), ANSWERS)
async def test_every_answer_means_what_the_table_says(
    session: aiohttp.ClientSession,
    misbehaving: Any,
    http_answer: Any,
    status: int,
    says: str,
    call: ProviderCall,
) -> None:
    body = {**PAID, "state": says} if status < 400 else {"error": {"code": says}}
    meant = ANSWERS[status, says][call]
    async with misbehaving(http_answer(status, body)) as url:
        provider = SandboxPayouts(session, url, timeout_s=5)
        if call is ProviderCall.LOOK_UP and meant == PAYOUT_RESULT_LOST:
            with pytest.raises(ProviderUnavailable):
                await asked(provider, call)
        else:
            assert await asked(provider, call) == meant


def test_only_what_the_provider_says_of_the_payout_itself_decides_it() -> None:
    decided = (PAYOUT_RESULT_PAID, PAYOUT_RESULT_DECLINED, PAYOUT_RESULT_RETURNED)
    for (status, _), results in ANSWERS.items():
        assert status in (200, 201) or not set(decided) & set(results)


def test_a_refusal_counts_the_first_time_and_only_a_look_up_knows_nothing_of_a_payout() -> None:
    for first, repeated, look_up in ANSWERS.values():
        assert PAYOUT_RESULT_REJECTED not in (repeated, look_up)
        assert PAYOUT_RESULT_NOT_FOUND not in (first, repeated)


@pytest.mark.parametrize(("status", "body"), UNCLEAR)
async def test_an_answer_that_is_not_clear_is_lost(
    session: aiohttp.ClientSession, misbehaving: Any, http_answer: Any, status: int, body: Any
) -> None:
    async with misbehaving(http_answer(status, body)) as url:
        unclear = SandboxPayouts(session, url, timeout_s=5)
        for again in (False, True):
            assert (await unclear.submit(ORDER, again=again)).result == PAYOUT_RESULT_LOST
        with pytest.raises(ProviderUnavailable):
            await unclear.find("key")


@pytest.mark.parametrize("answer", UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_lost(
    session: aiohttp.ClientSession, misbehaving: Any, answer: bytes | None
) -> None:
    async with misbehaving(answer) as url:
        unreadable = SandboxPayouts(session, url, timeout_s=0.3)
        assert (await unreadable.submit(ORDER)).result == PAYOUT_RESULT_LOST
        with pytest.raises(ProviderUnavailable):
            await unreadable.find("key")


@pytest.mark.parametrize("result", STATES)
@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({"destination": "eve@example.org"}, "another destination"),
        ({"currency": "USD"}, "currency USD and not EUR"),
        ({"minor_units": 1_251}, "minor_units 1251 and not 1250"),
        ({"minor_units": 0}, "minor_units 0 and not 1250"),
        (
            {"currency": "USD", "minor_units": 1},
            "currency USD and not EUR, minor_units 1 and not 1250",
        ),
    ],
)
def test_the_state_of_another_payout_is_not_that_of_the_order(
    result: Result, contents: dict[str, Any], reason: str
) -> None:
    result_of = compared(ORDER, answer(result, **contents))
    assert result_of == PayoutAnswer(PAYOUT_RESULT_DIFFERS, reason)


@pytest.mark.parametrize("result", STATES)
def test_missing_contents_do_not_differ(result: Result) -> None:
    silent = PayoutAnswer(result)
    assert compared(ORDER, silent) is silent
    erased, full = PayoutOrder(ORDER.key, "", "EUR", 1_250), answer(result)
    assert compared(erased, full) is full


def test_an_order_or_answer_in_a_log_line_does_not_show_whose_it_is() -> None:
    for shown in (ORDER, answer(PAYOUT_RESULT_PAID)):
        assert "mia@example.org" not in f"{shown!r} {shown}"


def test_a_refusal_of_an_order_says_that_nothing_was_paid_only_of_a_malformed_first_one() -> None:
    refused = {
        (answer, call)
        for answer, results in ANSWERS.items()
        for call in ProviderCall
        if results[call] == PAYOUT_RESULT_REJECTED
    }
    assert refused == {((400, "MALFORMED"), ProviderCall.FIRST_SEND)}


def test_a_key_that_is_known_with_other_contents_is_so_of_every_order() -> None:
    first, again, _ = ANSWERS[409, "IDEMPOTENCY_KEY_REUSED"]
    assert first == again == PAYOUT_RESULT_DIFFERS


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("state", ["PENDING", "PAID", "DECLINED", "RETURNED"])
def test_a_state_is_what_became_of_an_order(status: int, state: str) -> None:
    first, again, _ = ANSWERS[status, state]
    assert first == again == PayoutResult.Value(f"PAYOUT_RESULT_{state}")
