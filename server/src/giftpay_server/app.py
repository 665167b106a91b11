"""The server as nested lifetimes: what starts first stops last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
import grpc.aio

from giftpay_server.catalog.store import Catalogs
from giftpay_server.config import Config
from giftpay_server.gift.rules import GiftContext
from giftpay_server.gift.store import GiftContexts
from giftpay_server.ledger.feed import Feed
from giftpay_server.ledger.journal import Journal
from giftpay_server.ledger.store import Tables
from giftpay_server.postgres.embedded import embedded_postgres
from giftpay_server.postgres.migrations import migrate
from giftpay_server.postgres.pool import Pool, create_pool
from giftpay_server.rooms import Clock, Rooms, utc_now
from giftpay_server.services import add_services

TABLES: Tables = {
    GiftContext: GiftContexts(),
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes calls."""

    address: str
    rooms: Rooms


@asynccontextmanager
async def database(config: Config) -> AsyncIterator[str]:
    """The DSN of a database with the schema of this server: the one named, or an embedded one."""
    if config.database_url:
        await migrate(config.migrate_url or config.database_url)
        yield config.database_url
        return
    async with embedded_postgres(config.state) as dsn:
        await migrate(dsn)
        yield dsn


@asynccontextmanager
async def serving(config: Config, dsn: str, *, clock: Clock = utc_now) -> AsyncIterator[Running]:
    """A server on a database that has the schema; on exit it finishes what it has taken."""
    async with (
        create_pool(dsn, size=config.pool_size) as pool,
        aiohttp.ClientSession() as http,
        _ledger(config, pool, clock, http) as rooms,
        _listening(rooms) as address,
    ):
        yield Running(address, rooms)


@asynccontextmanager
async def _ledger(
    config: Config, pool: Pool, clock: Clock, http: aiohttp.ClientSession
) -> AsyncIterator[Rooms]:
    feed, catalogs = Feed(), Catalogs()
    journal = Journal(
        pool, feed, clock=clock, catalog_at=catalogs.at, tables=TABLES, limits=config.limits
    )
    async with _background(feed.listen(pool)), _draining(journal):
        yield Rooms(config, clock, pool, catalogs, feed, journal, http)


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
    port = server.add_insecure_port(config.listen)
    await server.start()
    try:
        yield f"{config.listen.rpartition(':')[0]}:{port}"
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(config.grace_s)
