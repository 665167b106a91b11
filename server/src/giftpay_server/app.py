"""Starts and stops the server: a nest of context managers."""

from __future__ import annotations

import asyncio
import configparser
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import grpc
import grpc.aio

from giftpay_server.catalog.sample import load_sample
from giftpay_server.catalog.store import Catalogs
from giftpay_server.config import SANDBOX_PORT, Config
from giftpay_server.journal.feed import Feed
from giftpay_server.journal.journal import Journal
from giftpay_server.logs import leave_out_callers_faults
from giftpay_server.postgres.clock import ClockWatch, utc_now
from giftpay_server.postgres.embedded import embedded_postgres
from giftpay_server.postgres.migrations import MigrationError, migrate
from giftpay_server.postgres.pool import Pool, connector, create_pool
from giftpay_server.registration import Clock, Parts
from giftpay_server.sandbox.app import running_sandbox
from giftpay_server.services import add_services
from giftpay_server.settings import ConfigError
from giftpay_server.slices import REGISTRY
from giftpay_server.wire.core_options import core_options
from giftpay_server.wire.identity import LOCAL
from giftpay_server.wire.lane import ReadLane

log = logging.getLogger(__name__)

# What asyncpg raises for a parameter of the URL, of libpq's environment, or of a service file.
PARAMETER_ERRORS = (ValueError, OverflowError, LookupError, configparser.Error)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes calls."""

    address: str
    parts: Parts


@asynccontextmanager
async def foundation(config: Config) -> AsyncIterator[Config]:
    """What all processes of a server share: a database with the schema, and the providers.

    Without a database named, both are embedded: a Postgres and a sandbox of our own, in which the
    callers are trusted to confirm payments. Yields the settings, completed with their addresses.
    """
    if config.database_url:
        named = "GIFTPAY_MIGRATE_URL" if config.migrate_url else "GIFTPAY_DATABASE_URL"
        with _reaching(config.migrate_url or config.database_url, named) as dsn:
            await migrate(dsn)
        yield config
        return
    if (state := config.state) is None:
        raise ConfigError("GIFTPAY_STATE must name a folder: this user has no home")
    # A server that listens on any free port is one of several: it leaves the usual one to others.
    ports = (0,) if config.listen.endswith(":0") else (SANDBOX_PORT, 0)
    async with (
        embedded_postgres(state) as dsn,
        running_sandbox(ports=ports, book=state / "sandbox.sqlite") as sandbox_url,
    ):
        await _migrate_embedded(dsn, state)
        yield replace(
            config,
            database_url=dsn,
            sandbox_url=config.sandbox_url or sandbox_url,
            trusted_callers=config.trusted_callers | {LOCAL},
            sample_catalog=True,
        )


@contextmanager
def _reaching(dsn: str, named: str) -> Iterator[str]:
    """Names the setting of a database that cannot be reached; never the password in it."""
    try:
        yield dsn
    except PARAMETER_ERRORS as error:
        what = f"a parameter of {named}, or a PG variable of the environment, cannot be used"
        raise ConfigError(f"{what}: {_first_line(error)}") from error
    except OSError as error:
        raise ConfigError(
            f"no Postgres answers at {_host(dsn)} ({named}): {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _host(dsn: str) -> str:
    url = urlsplit(dsn)
    return url.hostname or parse_qs(url.query).get("host", ["the local socket"])[0]


async def _migrate_embedded(dsn: str, state: Path) -> None:
    try:
        await migrate(dsn)
    except MigrationError as error:
        aside = f"or set GIFTPAY_STATE to a new folder, and {state} stays as it is"
        raise MigrationError(f"{error}, {aside}") from error


@asynccontextmanager
async def serving(
    config: Config, *, clock: Clock = utc_now, system_clock: Clock = utc_now
) -> AsyncIterator[Running]:
    """A server process on its foundation; on exit it finishes what it has taken.

    It decides by `clock`, which tests move, and compares `system_clock` with Postgres' own.
    """
    async with (
        create_pool(config.database_url, size=config.pool_size) as pool,
        aiohttp.ClientSession() as http,
        _ledger(config, pool, http, clock=clock, system_clock=system_clock) as parts,
        _working(parts),
        _listening(parts) as address,
    ):
        yield Running(address, parts)


@asynccontextmanager
async def _ledger(
    config: Config,
    pool: Pool,
    http: aiohttp.ClientSession,
    *,
    clock: Clock,
    system_clock: Clock,
) -> AsyncIterator[Parts]:
    feed, catalogs = Feed(), Catalogs()
    with _reaching(config.database_url, "GIFTPAY_DATABASE_URL"):
        await pool.fetchval("SELECT 1")  # fails before serving if the database is unusable
    connect = connector(config.database_url, pool=pool)
    watch = ClockWatch(connect, bound_s=config.clock_skew_max_s, clock=system_clock)
    await watch.look()
    journal = Journal(
        pool,
        feed,
        connect=connect,
        clock=clock,
        catalog_at=catalogs.known_as,
        tables=REGISTRY.tables,
        movements=REGISTRY.movements,
        limits=config.limits,
        clock_watch=watch,
    )
    async with _background(feed.listen(connect)), _draining(journal):
        if config.sample_catalog:
            await load_sample(journal)
        reads = ReadLane()
        yield Parts(config, REGISTRY, clock, watch, pool, catalogs, feed, journal, http, reads)


@asynccontextmanager
async def _working(parts: Parts) -> AsyncIterator[None]:
    """Runs the workers of all slices."""
    async with AsyncExitStack() as stack:
        for each in parts.registry.slices:
            for runner in each.workers(parts):
                await stack.enter_async_context(_background(runner.run()))
        yield


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _draining(journal: Journal) -> AsyncIterator[None]:
    task = asyncio.create_task(journal.run())
    task.add_done_callback(_stop_if_it_failed)
    try:
        yield
    finally:
        journal.drain()
        await task


def _stop_if_it_failed(journal: asyncio.Task[None]) -> None:
    """Stops the server if the journal failed: without it nothing is decided."""
    if not journal.cancelled() and (error := journal.exception()) is not None:
        log.critical("the journal ended; the server stops", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


@asynccontextmanager
async def _listening(parts: Parts) -> AsyncIterator[str]:
    config = parts.config
    options = [("grpc.so_reuseport", int(config.share_port)), *core_options(config.call_limits)]
    server = grpc.aio.server(options=options)
    leave_out_callers_faults()
    health = await add_services(server, parts)
    try:
        port = server.add_insecure_port(config.listen)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {config.listen}: {error}") from error
    async with _background(parts.clock_watch.run(health.set)):
        await server.start()
        try:
            yield f"{config.listen.rpartition(':')[0]}:{port}"
        finally:
            await health.stop()
            parts.feed.close()
            await server.stop(config.grace_s)
