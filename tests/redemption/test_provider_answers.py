"""What the books do with each answer of the provider's table, and with what contradicts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from giftpay.v1 import Redemption
from giftpay_server.journal.worker import Runner
from giftpay_server.redemption.providers import ANSWERS, ProviderCall, Result
from giftpay_server.redemption.store import Due
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

from tests.redemption.conftest import AMOUNT, DIAMONDS, Desk

UNCLEAR = (500, "INTERNAL")
UNKNOWN_TO_IT = (404, "PAYOUT_NOT_FOUND")
REJECTED = (400, "MALFORMED")
REUSED = (409, "IDEMPOTENCY_KEY_REUSED")
OTHERS = [{"currency": "USD"}, {"minor_units": AMOUNT - 25}, {"destination": "eve@example.org"}]

STATES: dict[Result, str] = {
    PAYOUT_RESULT_PENDING: "SUBMITTED",
    PAYOUT_RESULT_PAID: "PAID",
    PAYOUT_RESULT_DECLINED: "RETURNED",
    PAYOUT_RESULT_RETURNED: "RETURNED",
    PAYOUT_RESULT_REJECTED: "RETURNED",
    PAYOUT_RESULT_LOST: "UNKNOWN",
    PAYOUT_RESULT_NOT_FOUND: "UNKNOWN",
    PAYOUT_RESULT_DIFFERS: "UNKNOWN",
}
BALANCES = {"PAID": (0, 0), "RETURNED": (DIAMONDS, 0)}
HELD = (DIAMONDS, DIAMONDS)


@dataclass
class StubProvider:
    """A provider that answers as a test says: a status, and a state or the code of an error.

    Of what other tests left due it says nothing.
    """

    url: str = ""
    key: str = ""
    sent: tuple[int, str] = UNCLEAR
    found: tuple[int, str] = UNKNOWN_TO_IT
    contents: dict[str, Any] = field(default_factory=dict)  # other than those of the order
    orders: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        if request.headers["Idempotency-Key"] != self.key:
            return self._said(*UNCLEAR)
        self.orders.append({"key": self.key, **await request.json()})
        return self._said(*self.sent)

    async def find(self, request: web.Request) -> web.Response:
        return self._said(*(self.found if request.match_info["key"] == self.key else UNCLEAR))

    def _said(self, status: int, says: str) -> web.Response:
        if status >= 400:
            return web.json_response({"error": {"code": says}}, status=status)
        payout = {**self.orders[-1], "state": says, **self.contents}
        return web.json_response(payout, status=status)


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    provider = StubProvider()
    application = web.Application()
    application.add_routes(
        [web.post("/payouts", provider.take), web.get("/payouts/{key}", provider.find)]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield provider
    await runner.cleanup()


async def is_booked(desk: Desk, made: Redemption, result: Result) -> None:
    state = STATES[result]
    assert await desk.state(made) == state
    assert await desk.diamonds(made.owner_id) == BALANCES.get(state, HELD)
    assert await desk.money(made) == [-AMOUNT] * (state == "PAID")


async def work(desk: Desk, worker: Runner[Due], **later: float) -> None:
    desk.clock.advance(**later)
    assert (await worker.round()).failed == 0


async def redeem(desk: Desk, stub: StubProvider) -> Redemption:
    made = await desk.redeem()
    stub.key = made.redemption_id
    return made


async def lose_the_first(desk: Desk, stub: StubProvider, worker: Runner[Due]) -> Redemption:
    """A redemption that was sent, without a clear answer."""
    made = await redeem(desk, stub)
    await work(desk, worker)
    await is_booked(desk, made, PAYOUT_RESULT_LOST)
    return made


@pytest.mark.parametrize("answer", ANSWERS)
async def test_each_answer_to_a_first_order(
    desk: Desk, stub: StubProvider, answer: tuple[int, str]
) -> None:
    stub.sent = answer
    made = await redeem(desk, stub)
    await work(desk, desk.worker(stub.url))
    await is_booked(desk, made, ANSWERS[answer][ProviderCall.FIRST_SEND])


@pytest.mark.parametrize("answer", ANSWERS)
async def test_each_answer_to_an_order_sent_again(
    desk: Desk, stub: StubProvider, answer: tuple[int, str]
) -> None:
    worker = desk.worker(stub.url)
    made = await lose_the_first(desk, stub, worker)
    stub.sent = answer
    await work(desk, worker, minutes=1)
    await is_booked(desk, made, ANSWERS[answer][ProviderCall.REPEATED_SEND])
    assert stub.orders[0] == stub.orders[1]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_each_answer_to_a_look_up(
    desk: Desk, stub: StubProvider, answer: tuple[int, str]
) -> None:
    worker = desk.worker(stub.url)
    made = await lose_the_first(desk, stub, worker)
    stub.found = answer
    await work(desk, worker, minutes=1)
    result = ANSWERS[answer][ProviderCall.LOOK_UP]
    await is_booked(desk, made, result)
    assert len(stub.orders) == (2 if result == PAYOUT_RESULT_NOT_FOUND else 1)


@pytest.mark.parametrize("refusal", [REJECTED, REUSED])
@pytest.mark.parametrize(
    ("found", "result"),
    [
        ((200, "PAID"), PAYOUT_RESULT_PAID),
        ((200, "PENDING"), PAYOUT_RESULT_PENDING),
        ((200, "DECLINED"), PAYOUT_RESULT_DECLINED),
        ((200, "RETURNED"), PAYOUT_RESULT_RETURNED),
    ],
)
async def test_what_is_refused_at_first_was_paid_if_a_look_up_says_so(
    desk: Desk,
    stub: StubProvider,
    refusal: tuple[int, str],
    found: tuple[int, str],
    result: Result,
) -> None:
    stub.sent, stub.found = refusal, found
    made = await redeem(desk, stub)
    await work(desk, desk.worker(stub.url))
    await is_booked(desk, made, result)


async def test_a_key_known_with_other_contents_is_left_to_an_operator_whatever_a_look_up_finds(
    desk: Desk, stub: StubProvider
) -> None:
    worker = desk.worker(stub.url)
    stub.sent, stub.found = REUSED, UNKNOWN_TO_IT
    made = await redeem(desk, stub)
    for minutes in (0, 1, 60):
        await work(desk, worker, minutes=minutes)
        await is_booked(desk, made, PAYOUT_RESULT_DIFFERS)
    assert len(stub.orders) == 1


async def test_what_is_refused_while_nothing_can_be_looked_up_stays_held(
    desk: Desk, stub: StubProvider
) -> None:
    worker = desk.worker(stub.url)
    stub.sent, stub.found = REJECTED, UNCLEAR
    made = await redeem(desk, stub)
    await work(desk, worker)
    assert await desk.state(made) == "SUBMITTED"
    assert await desk.diamonds(made.owner_id) == HELD
    stub.found = (200, "PAID")
    await work(desk, worker, minutes=1)
    await is_booked(desk, made, PAYOUT_RESULT_PAID)


@pytest.mark.parametrize("contents", [{"minor_units": None}, {"currency": None}])
@pytest.mark.parametrize("state", ["PENDING", "PAID", "DECLINED", "RETURNED"])
async def test_a_key_known_with_other_contents_is_ours_only_if_it_has_all_contents(
    desk: Desk, stub: StubProvider, contents: dict[str, Any], state: str
) -> None:
    stub.sent, stub.found, stub.contents = REUSED, (200, state), contents
    made = await redeem(desk, stub)
    await work(desk, desk.worker(stub.url))
    await is_booked(desk, made, PAYOUT_RESULT_DIFFERS)


async def test_a_key_known_with_other_contents_waits_for_no_look_up(
    desk: Desk, stub: StubProvider
) -> None:
    stub.sent, stub.found = REUSED, UNCLEAR
    made = await redeem(desk, stub)
    await work(desk, desk.worker(stub.url))
    await is_booked(desk, made, PAYOUT_RESULT_DIFFERS)


@pytest.mark.parametrize("state", ["PENDING", "PAID", "DECLINED", "RETURNED"])
@pytest.mark.parametrize("contents", OTHERS)
async def test_a_payout_with_other_contents_decides_nothing(
    desk: Desk, stub: StubProvider, contents: dict[str, Any], state: str
) -> None:
    worker = desk.worker(stub.url)
    made = await lose_the_first(desk, stub, worker)
    stub.found, stub.contents = (200, state), contents
    for minutes in (1, 2, 10):
        await work(desk, worker, minutes=minutes)
        await is_booked(desk, made, PAYOUT_RESULT_DIFFERS)
    assert len(stub.orders) == 1


@pytest.mark.parametrize("contents", OTHERS)
async def test_money_of_another_payout_does_not_come_back(
    desk: Desk, stub: StubProvider, contents: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    worker = desk.worker(stub.url)
    stub.sent = (201, "PAID")
    made = await redeem(desk, stub)
    await work(desk, worker)
    stub.found, stub.contents = (200, "RETURNED"), contents
    await work(desk, worker, hours=1)
    await is_booked(desk, made, PAYOUT_RESULT_PAID)
    assert "its state contradicts PAYOUT_RESULT_DIFFERS" in caplog.text
