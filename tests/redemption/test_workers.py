"""Workers: many at once, failing, and killed at the worst moment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from giftpay.v1 import Redemption
from giftpay_server.app import serving
from giftpay_server.journal.worker import Runner
from giftpay_server.redemption.providers import PayoutAnswer, PayoutOrder, SandboxPayouts
from giftpay_server.redemption.store import Due

from tests.redemption.conftest import AMOUNT, Desk, new_desk, new_destination, running

NewDatabase = Callable[[], Awaitable[str]]
END_ALL_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'giftpay-server'
"""
PAYEE = "mia@example.org"


@pytest.fixture
async def second(desk: Desk) -> AsyncIterator[Desk]:
    """The same desk, with another server on the same books."""
    config = desk.server.parts.config
    async with serving(config, clock=desk.clock) as server:
        yield replace(desk, server=server)


async def test_two_servers_pay_each_redemption_once(desk: Desk, second: Desk) -> None:
    made = [await desk.redeem() for _ in range(12)]
    workers = [desk.worker(), desk.worker(), second.worker()]
    await asyncio.gather(*(worker.round() for worker in workers))
    for each in made:
        assert await desk.state(each) == "PAID"
        assert await desk.payouts(each) == [("PAID", AMOUNT, 1)]  # none was asked for twice


async def test_two_servers_learn_of_a_payout_once(desk: Desk, second: Desk) -> None:
    made = [await desk.redeem("lost@sandbox.example") for _ in range(6)]
    await asyncio.gather(desk.work(), second.work())
    assert {await desk.state(each) for each in made} == {"UNKNOWN"}
    desk.clock.advance(minutes=1)
    await asyncio.gather(desk.worker().round(), second.worker().round())
    for each in made:
        assert await desk.state(each) == "PAID"
        assert await desk.payouts(each) == [("PAID", AMOUNT, 1)]
        assert await desk.money(each) == [-AMOUNT]


class Faulty(SandboxPayouts):
    """Fails in a way that no contract names, for some payees or all."""

    faulty_for = ""

    async def submit(self, order: PayoutOrder, *, again: bool = False) -> PayoutAnswer:
        if self.faulty_for in order.destination:
            raise ZeroDivisionError
        return await super().submit(order, again=again)


def faulty(desk: Desk, destination: str) -> tuple[Faulty, Runner[Due]]:
    provider = Faulty(desk.http, desk.sandbox)
    provider.faulty_for = destination
    return provider, desk.runner(provider)


async def test_one_payout_that_fails_stops_no_other(desk: Desk) -> None:
    destination = new_destination()
    failing, other = await desk.redeem(destination), await desk.redeem()
    figures = await faulty(desk, destination)[1].round()
    assert (figures.processed, figures.failed) == (1, 1)
    assert [await desk.state(each) for each in (failing, other)] == ["SUBMITTED", "PAID"]
    await desk.work(minutes=1)
    assert await desk.payouts(failing) == [("PAID", AMOUNT, 1)]


async def test_a_worker_goes_on_after_failing(desk: Desk) -> None:
    provider, worker = faulty(desk, "")
    first = await desk.redeem()
    async with running(worker):
        await desk.reaches(first, "SUBMITTED")
        provider.faulty_for = "nobody"
        second = await desk.redeem()
        await desk.reaches(second, "PAID")
        desk.clock.advance(minutes=1)
        await desk.reaches(first, "PAID")
    assert await desk.payouts(first) == [("PAID", AMOUNT, 1)]


async def test_a_worker_goes_on_when_the_database_comes_back(desk: Desk) -> None:
    async with (
        running(desk.worker()),
        asyncpg.create_pool(desk.server.parts.config.database_url, min_size=1) as operator,
    ):
        for _ in range(5):
            await operator.execute(END_ALL_OTHERS)
            await asyncio.sleep(0.05)
        made = await desk.redeem()
        await desk.reaches(made, "PAID")
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]


@asynccontextmanager
async def server_process(dsn: str, provider: str) -> AsyncIterator[None]:
    """A server in a process of its own, which is killed in the end."""
    settings = {
        "GIFTPAY_DATABASE_URL": dsn,
        "GIFTPAY_SANDBOX_URL": provider,
        "GIFTPAY_LISTEN": "127.0.0.1:0",
        "GIFTPAY_PAYOUT_POLL_S": "0.05",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "giftpay_server"), env={**os.environ, **settings}
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """A provider that takes connections and never says anything."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_server_killed_before_its_call_pays_once(new_database: NewDatabase) -> None:
    dsn = await new_database()
    async with new_desk(dsn) as desk, silence() as silent:
        async with server_process(dsn, silent):
            made = await desk.redeem()
            await desk.reaches(made, "SUBMITTED")
        await is_paid_by_the_next_worker(desk, made)


async def test_a_server_killed_before_it_has_its_answer_pays_once(
    new_database: NewDatabase,
) -> None:
    dsn = await new_database()
    async with new_desk(dsn) as desk:
        async with server_process(dsn, desk.sandbox):
            await desk.script(PAYEE, {"action": "answer_late", "delay_ms": 60_000})
            made = await desk.redeem(PAYEE)
            await desk.submits(made, times=1)
        await is_paid_by_the_next_worker(desk, made)


async def is_paid_by_the_next_worker(desk: Desk, made: Redemption) -> None:
    assert await desk.state(made) == "SUBMITTED"
    await desk.work(minutes=1)
    assert await desk.state(made) == "PAID"
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]
    assert await desk.diamonds(made.owner_id) == (0, 0)
