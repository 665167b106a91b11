"""Workers of several processes share what is due; nothing that fails or hangs stops the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from giftpay.v1 import WALLET_STATUS_ACTIVE, WALLET_STATUS_FROZEN, Redemption
from giftpay_server.app import serving
from giftpay_server.journal.worker import CALLS_MAX, Pace
from giftpay_server.provider_http import ProviderUnavailable
from giftpay_server.redemption.providers import PayoutAnswer, PayoutOrder, SandboxPayouts
from giftpay_server.redemption.store import read_due

from tests.redemption.conftest import AMOUNT, Desk, new_desk, new_destination, running, until

REST_S = 600.0  # whoever rests so long does no more in a test
ONCE = Pace(poll_s=REST_S)
LOG = "giftpay_server.journal.worker"


@pytest.fixture
async def alone(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Desk]:
    """A desk where nothing of other tests is due."""
    async with new_desk(await new_database()) as desk:
        yield desk


class Gate(SandboxPayouts):
    """A provider whose answers to some payees, or to all, wait until it opens."""

    def __init__(self, desk: Desk, closed_for: Collection[str] | None = None) -> None:
        super().__init__(desk.http, desk.sandbox)
        self.closed_for = closed_for
        self.opened = asyncio.Event()
        self.asked: list[str] = []

    async def submit(self, order: PayoutOrder, *, again: bool = False) -> PayoutAnswer:
        self.asked.append(order.key)
        if self.closed_for is None or order.destination in self.closed_for:
            await self.opened.wait()
        return await super().submit(order, again=again)

    async def was_asked(self, times: int) -> bool:
        return len(self.asked) == times


class Away(SandboxPayouts):
    """A provider to which no connection can be made."""

    asked = 0

    async def submit(self, order: PayoutOrder, *, again: bool = False) -> PayoutAnswer:
        self.asked += 1
        raise ProviderUnavailable("no connection")


async def redeem(desk: Desk, count: int) -> list[Redemption]:
    made: list[Redemption] = []
    while len(made) < count:
        made += await asyncio.gather(*(desk.redeem() for _ in range(min(50, count - len(made)))))
    return made


@asynccontextmanager
async def servers(desk: Desk, count: int) -> AsyncIterator[list[Desk]]:
    """The same desk at so many servers on the same books."""
    config = desk.server.parts.config
    async with AsyncExitStack() as stack:
        others = [
            await stack.enter_async_context(serving(config, clock=desk.clock))
            for _ in range(count - 1)
        ]
        yield [desk, *(replace(desk, server=server) for server in others)]


async def all_are_paid(desk: Desk, made: list[Redemption]) -> None:
    """Waits until each is paid, and looks that the provider paid each once."""
    pool = desk.server.parts.pool
    ids = [each.redemption_id for each in made]
    unpaid = "SELECT count(*) FROM redemption WHERE state <> 4 AND redemption_id = ANY($1::uuid[])"

    async def none_waits() -> bool:
        return bool(await pool.fetchval(unpaid, ids) == 0)

    await until(none_waits)
    async with desk.http.get(f"{desk.sandbox}/payouts") as response:
        listed = (await response.json())["payouts"]
    paid = [(each["key"], each["minor_units"], each["submits"]) for each in listed]
    assert sorted(each for each in paid if each[0] in ids) == sorted(
        (each, AMOUNT, 1) for each in ids
    )


@pytest.mark.parametrize("count", [2, 3])
async def test_workers_share_what_is_due_and_seldom_begin_the_same(alone: Desk, count: int) -> None:
    made = await redeem(alone, 300)
    async with servers(alone, count) as those:
        workers = [each.worker() for each in those]
        async with running(*workers):
            await all_are_paid(alone, made)
    assert sum(worker.totals.processed for worker in workers) == 300
    assert all(worker.totals.processed > 300 / count / 3 for worker in workers)
    replays = sum(worker.totals.taken for worker in workers)
    assert replays < 100  # of 300 and 600 if each tried to begin all


async def test_what_a_killed_worker_would_have_done_is_done_by_the_rest(alone: Desk) -> None:
    made = await redeem(alone, 60)
    gate = Gate(alone)
    async with servers(alone, 2) as (first, second):
        async with running(first.runner(gate)):
            await until(lambda: gate.was_asked(CALLS_MAX))
        begun = [each for each in made if each.redemption_id in gate.asked]
        async with running(second.worker()):
            await all_are_paid(alone, [each for each in made if each not in begun])
            alone.clock.advance(minutes=1)
            await all_are_paid(alone, begun)


async def test_there_is_no_rest_while_more_is_due(alone: Desk) -> None:
    made = await redeem(alone, 60)
    worker = alone.runner(SandboxPayouts(alone.http, alone.sandbox), ONCE)
    async with running(worker):
        await all_are_paid(alone, made)
    assert worker.totals.processed == 60


async def test_payouts_that_hang_stop_no_others(alone: Desk) -> None:
    hanging = {new_destination() for _ in range(5)}
    stuck = [await alone.redeem(destination) for destination in hanging]
    made = await redeem(alone, 40)
    gate = Gate(alone, hanging)
    worker = alone.runner(gate)
    async with running(worker):
        await all_are_paid(alone, made)
        late = await alone.redeem()  # due after that round
        await alone.reaches(late, "PAID")
        assert {await alone.state(each) for each in stuck} == {"SUBMITTED"}
        gate.opened.set()
        await all_are_paid(alone, stuck)


async def test_a_payout_that_hangs_too_long_is_given_up_and_comes_again(alone: Desk) -> None:
    destination = new_destination()
    stuck = await alone.redeem(destination)
    gate = Gate(alone, {destination})
    worker = alone.runner(gate, Pace(poll_s=0.02, call_max_s=0.2))
    assert (await worker.round()).postponed == 1
    gate.opened.set()
    alone.clock.advance(minutes=1)
    assert (await worker.round()).processed == 1
    await all_are_paid(alone, [stuck])


async def test_a_cancelled_worker_leaves_nothing_running(alone: Desk) -> None:
    destination = new_destination()
    await alone.redeem(destination)
    gate = Gate(alone, {destination})
    before = asyncio.all_tasks()
    async with running(alone.runner(gate)):
        await until(lambda: gate.was_asked(1))
    assert asyncio.all_tasks() <= before


async def test_a_round_waits_for_what_a_run_has_in_flight(alone: Desk) -> None:
    made = await redeem(alone, 20)
    worker = alone.worker()
    async with running(worker):
        await worker.round()
        assert {await alone.state(each) for each in made} == {"PAID"}


async def test_a_provider_that_is_away_is_tried_gently_and_logged_once(
    alone: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    made = await redeem(alone, 60)
    away = Away(alone.http, alone.sandbox)
    worker = alone.runner(away, ONCE)

    async def were_postponed() -> bool:
        return worker.totals.postponed >= CALLS_MAX

    with caplog.at_level(logging.WARNING, LOG):
        async with running(worker):
            await until(were_postponed)
    assert away.asked < 3 * CALLS_MAX  # then one at a time, with rests between
    lines = [record.getMessage() for record in caplog.records if record.name == LOG]
    assert len(lines) == 1
    assert "the provider is away" in lines[0]
    alone.clock.advance(minutes=1)
    async with running(alone.worker()):
        await all_are_paid(alone, made)


async def test_held_payouts_of_frozen_wallets_do_not_crowd_out_others(alone: Desk) -> None:
    frozen = await redeem(alone, 7)
    for each in frozen:
        await alone.set_status(each.owner_id, WALLET_STATUS_FROZEN)
    made = await redeem(alone, 3)
    pool, now = alone.server.parts.pool, alone.clock()
    due = await read_due(pool, now, limit=2)
    assert len(due) == 2
    assert {each.redemption_id for each in due} <= {each.redemption_id for each in made}
    await alone.work()
    await all_are_paid(alone, made)
    assert {await alone.state(each) for each in frozen} == {"HELD"}
    for each in frozen:
        await alone.set_status(each.owner_id, WALLET_STATUS_ACTIVE)
    await alone.work()
    await all_are_paid(alone, frozen)
