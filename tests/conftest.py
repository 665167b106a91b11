"""One Postgres, one sandbox and one server for the run; every test opens wallets of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import grpc.aio
import pytest
from giftpay import v1
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.postgres.embedded import embedded_postgres
from giftpay_server.postgres.migrations import migrate
from giftpay_server.sandbox.app import running_sandbox

CATALOG_FILE = Path("server/src/giftpay_server/catalog/sample.toml")


class MovableClock:
    """The time of the tests' server; it only ever moves forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, **by: float) -> None:
        """Moves on, as timedelta's keywords say."""
        self.ahead += timedelta(**by)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The DSN of a Postgres for this run, or the one that GIFTPAY_TEST_DATABASE_URL names."""
    if named := os.environ.get("GIFTPAY_TEST_DATABASE_URL"):
        yield named
        return
    async with embedded_postgres(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def new_database(postgres: str) -> Callable[[], Awaitable[str]]:
    """Makes an empty database with the schema, for tests that need one to themselves."""
    numbers = itertools.count(1)

    async def make() -> str:
        name = f"giftpay_{os.getpid()}_{next(numbers)}"
        connection = await asyncpg.connect(postgres)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        dsn = postgres.replace("/giftpay?", f"/{name}?")
        await migrate(dsn)
        return dsn

    return make


@pytest.fixture(scope="session")
async def dsn(new_database: Callable[[], Awaitable[str]]) -> str:
    """The database that most tests share; nothing in it is ever removed."""
    return await new_database()


@pytest.fixture(scope="session")
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Connections as the owner of the schema, to look and to corrupt."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=5) as pool:
        yield pool


@pytest.fixture(scope="session")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[str]:
    """The base URL of the sandbox provider."""
    async with running_sandbox() as url:
        yield url


@pytest.fixture(scope="session")
async def server(dsn: str, sandbox: str, clock: MovableClock) -> AsyncIterator[Running]:
    """The server that most tests share, in this process."""
    config = Config(
        listen="127.0.0.1:0",
        sandbox_url=sandbox,
        trusted_callers=frozenset({"local"}),
        payout_poll_s=0.05,
    )
    async with serving(config, dsn, clock=clock) as running:
        yield running


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield SimpleNamespace(
            wallets=v1.WalletServiceStub(channel),
            catalog=v1.CatalogServiceStub(channel),
            top_ups=v1.TopUpServiceStub(channel),
            gifts=v1.GiftServiceStub(channel),
            redemptions=v1.RedemptionServiceStub(channel),
            admin=v1.AdminServiceStub(channel),
        )


@pytest.fixture(scope="session")
async def client(server: Running) -> AsyncIterator[Any]:
    """The shipped client, on the shared server."""
    async with connected(server.address) as client:
        yield client
