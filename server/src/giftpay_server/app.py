"""The server as nested lifetimes: what starts first stops last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import grpc
import grpc.aio

from giftpay_server.catalog.sample import load_sample
from giftpay_server.catalog.store import Catalogs
from giftpay_server.config import Config, ConfigError
from giftpay_server.ledger.feed import Feed
from giftpay_server.ledger.journal import Journal
from giftpay_server.postgres.embedded import embedded_postgres
from giftpay_server.postgres.migrations import migrate
from giftpay_server.postgres.pool import Pool, connector, create_pool
from giftpay_server.redemption.providers import SandboxPayouts
from giftpay_server.redemption.worker import PayoutWorker
from giftpay_server.rooms import Clock, Rooms, utc_now
from giftpay_server.sandbox.app import running_sandbox
from giftpay_server.services import TABLES, add_services
from giftpay_server.wire.identity import LOCAL

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes calls."""

    address: str
    rooms: Rooms


@asynccontextmanager
async def foundation(config: Config) -> AsyncIterator[Config]:
    """What all processes of a server stand on: a database with the schema, and the providers.

    Without a database named, both are embedded: a Postgres and a sandbox of our own, in which the
    callers' own word is good for a payment. Yields the settings completed by where they are.
    """
    if config.database_url:
        await migrate(config.migrate_url or config.database_url)
        yield config
        return
    async with (
        embedded_postgres(config.state) as dsn,
        running_sandbox(book=config.state / "sandbox.sqlite") as sandbox_url,
    ):
        await migrate(dsn)
        yield replace(
            config,
            database_url=dsn,
            sandbox_url=config.sandbox_url or sandbox_url,
            trusted_callers=config.trusted_callers | {LOCAL},
            sample_catalog=True,
        )


@asynccontextmanager
async def serving(config: Config, *, clock: Clock = utc_now) -> AsyncIterator[Running]:
    """A server process on its foundation; on exit it finishes what it has taken."""
    async with (
        create_pool(config.database_url, size=config.pool_size) as pool,
        aiohttp.ClientSession() as http,
        _ledger(config, pool, clock, http) as rooms,
        _paying_out(rooms),
        _listening(rooms) as address,
    ):
        yield Running(address, rooms)


@asynccontextmanager
async def _ledger(
    config: Config, pool: Pool, clock: Clock, http: aiohttp.ClientSession
) -> AsyncIterator[Rooms]:
    feed, catalogs = Feed(), Catalogs()
    await pool.fetchval("SELECT 1")  # whoever cannot use the database learns it before it serves
    connect = connector(config.database_url)
    journal = Journal(
        pool,
        feed,
        connect=connect,
        clock=clock,
        catalog_at=catalogs.at,
        tables=TABLES,
        limits=config.limits,
    )
    async with _background(feed.listen(connect)), _draining(journal):
        if config.sample_catalog:
            await load_sample(journal)
        yield Rooms(config, clock, pool, catalogs, feed, journal, http)


@asynccontextmanager
async def _paying_out(rooms: Rooms) -> AsyncIterator[None]:
    """Drives payouts as long as there is a provider to drive them at."""
    if not rooms.config.sandbox_url:
        log.warning("no payout provider (GIFTPAY_SANDBOX_URL): redemptions wait as HELD")
        yield
        return
    worker = PayoutWorker(
        rooms.journal,
        rooms.pool,
        SandboxPayouts(rooms.http, rooms.config.sandbox_url),
        clock=rooms.clock,
        poll_s=rooms.config.payout_poll_s,
    )
    async with _background(worker.run()):
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
    try:
        yield
    finally:
        journal.drain()
        await task


@asynccontextmanager
async def _listening(rooms: Rooms) -> AsyncIterator[str]:
    config = rooms.config
    server = grpc.aio.server(options=[("grpc.so_reuseport", int(config.share_port))])
    health = await add_services(server, rooms)
    try:
        port = server.add_insecure_port(config.listen)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {config.listen}: {error}") from error
    await server.start()
    try:
        yield f"{config.listen.rpartition(':')[0]}:{port}"
    finally:
        await health.enter_graceful_shutdown()
        rooms.feed.close()
        await server.stop(config.grace_s)
