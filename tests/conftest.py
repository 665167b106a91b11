"""One Postgres, one sandbox and one server for the run; every test opens wallets of its own."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest
from giftpay.catalog_file import load_catalog
from giftpay.client import Client, connect
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    ApplyCatalogRequest,
    OpenWalletRequest,
    VerifyLedgerRequest,
)
from giftpay_server import catalog
from giftpay_server.app import Running, serving
from giftpay_server.config import Config, Limits
from giftpay_server.postgres.embedded import embedded_postgres
from giftpay_server.postgres.migrations import migrate
from giftpay_server.sandbox.app import running_sandbox

OpenWallet = Callable[..., Awaitable[str]]

SAMPLE_CATALOG = Path(catalog.__file__).parent / "sample.toml"


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
async def postgres() -> AsyncIterator[str]:
    """The DSN of a Postgres for this run, or the one that GIFTPAY_TEST_DATABASE_URL names."""
    if named := os.environ.get("GIFTPAY_TEST_DATABASE_URL"):
        yield named
        return
    # Not below pytest's own folder: as root, Postgres runs as a user who may not enter that.
    with TemporaryDirectory(prefix="giftpay-") as state:
        async with embedded_postgres(Path(state)) as dsn:
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
        dsn = urlsplit(postgres)._replace(path=f"/{name}").geturl()
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
        database_url=dsn,
        listen="127.0.0.1:0",
        sandbox_url=sandbox,
        trusted_callers=frozenset({"local"}),
        payout_poll_s=0.05,
        limits=Limits(wait_max_s=60),  # a slow machine is not a full queue
    )
    async with serving(config, clock=clock) as running:
        yield running


@pytest.fixture(scope="session")
async def client(server: Running) -> AsyncIterator[Client]:
    """The shipped client, on the shared server, which sells what the sample catalog says."""
    async with connect(server.address) as client:
        catalog = load_catalog(SAMPLE_CATALOG)
        await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))
        yield client
        await verify(client)  # the whole books, at the end


@pytest.fixture(scope="session")
def open_wallet(client: Client) -> OpenWallet:
    """Opens a wallet of an adult owner that nobody else uses, with so many coins and diamonds."""

    async def open_one(*, coins: int = 0, diamonds: int = 0, country: str = "DE") -> str:
        owner_id = f"o-{uuid.uuid4().hex[:10]}"
        await client.wallets.OpenWallet(
            OpenWalletRequest(owner_id=owner_id, country_code=country, age_verified=True)
        )
        for unit, amount in ((UNIT_COIN, coins), (UNIT_DIAMOND, diamonds)):
            if amount:
                request = AdjustBalanceRequest(
                    owner_id=owner_id, unit=unit, amount=amount, reason="test"
                )
                await client.admin.AdjustBalance(request)
        return owner_id

    return open_one


@pytest.fixture(autouse=True)
async def books_are_clean(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After every test that touched the shared server: what it wrote agrees, row by row."""
    begun = request.getfixturevalue("clock")()
    yield
    if "client" in request.fixturenames:
        await verify(request.getfixturevalue("client"), begun)


async def verify(client: Client, since: datetime | None = None) -> None:
    asked = VerifyLedgerRequest()
    if since is not None:
        asked.since_time.FromDatetime(since)
    verified = await client.admin.VerifyLedger(asked, timeout=60)
    assert verified.clean, verified.broken
