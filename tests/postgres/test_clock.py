"""The machine's clock is trusted as long as it agrees with Postgres' clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import grpc.aio
import pytest
from giftpay.v1 import ERROR_REASON_ACCOUNT_BUSY, ERROR_REASON_CLOCK_SKEW
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.journal.failures import AccountBusyError
from giftpay_server.postgres.clock import ClockSkewError, ClockWatch
from giftpay_server.postgres.pool import connector
from giftpay_server.wire.guard import refusal_from
from giftpay_server.wire.health import Health
from giftpay_server.wire.identity import LOCAL, Call
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import MovableClock

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ("", "giftpay.v1.WalletService", "giftpay.v1.GiftService", "giftpay.v1.AdminService")

END_ALL = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1"


def watch_of(dsn: str, clock: Callable[[], datetime], *, bound_s: float = 5) -> ClockWatch:
    return ClockWatch(connector(dsn), bound_s=bound_s, clock=clock)


@asynccontextmanager
async def looked(watch: ClockWatch) -> AsyncIterator[ClockWatch]:
    """A watch that has compared the clocks once."""
    await watch.look()
    try:
        yield watch
    finally:
        await watch.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "giftpay_server.postgres.clock"
    ]


async def test_a_clock_that_agrees_is_trusted(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async with looked(watch_of(dsn, lambda: datetime.now(UTC), bound_s=1)) as watch:
        watch.check()
        assert watch.is_right
    assert lines(caplog) == []


@pytest.mark.parametrize("ahead_s", [20, -20, 3 * 365 * 86_400])
async def test_a_wrong_clock_and_its_recovery_are_each_logged_once(
    dsn: str, ahead_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MovableClock()
    clock.advance(seconds=ahead_s)
    async with looked(watch_of(dsn, clock)) as watch:
        await watch.look()
        with pytest.raises(ClockSkewError) as wrong:
            watch.check()
        assert (round(wrong.value.skew), wrong.value.bound) == (-ahead_s, 5)
        clock.ahead = timedelta()
        await watch.look()
        await watch.look()
        watch.check()
    said, unsaid = lines(caplog)
    assert "ahead of" in said if ahead_s > 0 else "behind" in said
    assert str(clock().year) in unsaid


@pytest.mark.parametrize(("ahead_s", "right"), [(0.2, True), (4.5, True), (5.5, False)])
async def test_the_bound_is_the_setting(dsn: str, ahead_s: float, right: bool) -> None:
    clock = MovableClock()
    clock.advance(seconds=ahead_s)
    async with looked(watch_of(dsn, clock)) as watch:
        assert watch.is_right == right


async def test_a_long_round_trip_proves_nothing(dsn: str) -> None:
    times = iter([datetime.now(UTC), datetime.now(UTC) + timedelta(seconds=30)])
    async with looked(watch_of(dsn, lambda: next(times))) as watch:
        watch.check()


async def test_the_last_result_holds_while_postgres_is_unreachable(
    postgres: str, new_database: Callable[[], Awaitable[str]]
) -> None:
    database, clock = await new_database(), MovableClock()
    name = urlsplit(database).path[1:]
    operator = await asyncpg.connect(postgres)
    clock.advance(seconds=20)
    async with looked(watch_of(database, clock)) as watch:
        clock.ahead = timedelta()
        await operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await operator.fetchval(END_ALL, name)
        await watch.look()
        assert not watch.is_right
        await operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await watch.look()
        assert watch.is_right
    await operator.close()


def test_the_refusal_has_the_skew_and_the_bound() -> None:
    refusal = refusal_from(ClockSkewError(-12.3456, 5.0))
    assert refusal.reason == ERROR_REASON_CLOCK_SKEW
    assert dict(refusal.metadata) == {"skew_s": "-12.346", "bound_s": "5"}


def test_the_refusal_names_the_owner_of_the_locked_row() -> None:
    refusal = refusal_from(AccountBusyError("ben"))
    assert (refusal.reason, dict(refusal.metadata)) == (
        ERROR_REASON_ACCOUNT_BUSY,
        {"owner_id": "ben"},
    )


@pytest.fixture
async def system_clock() -> MovableClock:
    """The clock of the machine, a minute ahead of Postgres'."""
    clock = MovableClock()
    clock.advance(minutes=1)
    return clock


@pytest.fixture
async def skewed(dsn: str, system_clock: MovableClock) -> AsyncIterator[Running]:
    config = Config(database_url=dsn, listen="127.0.0.1:0")
    async with serving(config, system_clock=system_clock) as running:
        yield running


async def test_no_service_serves_until_the_clock_is_right(
    skewed: Running, system_clock: MovableClock
) -> None:
    async with grpc.aio.insecure_channel(skewed.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in SERVICES:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == NOT_SERVING
        with pytest.raises(ClockSkewError):
            skewed.parts.clock_watch.check()
        watching = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICES[-1]))
        system_clock.ahead = timedelta()
        assert [(await watching.read()).status for _ in range(2)] == [NOT_SERVING, SERVING]
        watching.cancel()
        skewed.parts.clock_watch.check()


async def test_what_stops_does_not_serve_again() -> None:
    health = Health(["giftpay.v1.WalletService"])
    await health.set(True)
    await health.stop()
    await health.set(True)
    for name in SERVICES[:2]:
        asked = health_pb2.HealthCheckRequest(service=name)
        assert (await health.Check(asked, Call(LOCAL))).status == NOT_SERVING
