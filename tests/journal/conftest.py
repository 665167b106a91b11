"""Books of their own for journals, audited after every test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import asyncpg
import pytest
from giftpay_server.admin.audit import verify
from giftpay_server.admin.checks import all_checks
from giftpay_server.journal.journal import Journal
from giftpay_server.postgres.pool import Pool
from giftpay_server.slices import REGISTRY

from tests.journal.journals import open_wallets, running_journal


@pytest.fixture(scope="module")
async def database(new_database: Callable[[], Awaitable[str]]) -> str:
    return await new_database()


@pytest.fixture(scope="module")
async def admin(database: str) -> AsyncIterator[Pool]:
    """Connections as the owner of the schema."""
    async with asyncpg.create_pool(database, min_size=1, max_size=3) as pool:
        yield pool


@pytest.fixture(autouse=True)
async def journals_books_are_clean(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After every test of a journal: the whole audit."""
    yield
    if "admin" in request.fixturenames:
        # Some journals here go by a clock that is moved by hours.
        admin = request.getfixturevalue("admin")
        verified = await verify(admin, None, all_checks(REGISTRY), skew_max=timedelta(days=1))
        assert verified.clean, verified.broken


@pytest.fixture
async def owners(admin: Pool) -> list[str]:
    """Three owners with nothing."""
    names = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("anna", "ben", "cleo")]
    await open_wallets(admin, names)
    return names


@pytest.fixture
async def journal(database: str) -> AsyncIterator[Journal]:
    async with running_journal(database) as journal:
        yield journal
