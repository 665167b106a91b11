"""Migrations: each is applied once and atomically, by whichever server starts first."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from giftpay_server.postgres import migrations
from giftpay_server.postgres.migrations import MigrationError, migrate

PACKAGED = Path(migrations.__file__).parent
STEPS = sorted(path.name for path in PACKAGED.glob("*.sql"))
NEXT = f"{len(STEPS) + 1:04}_next.sql"

RECORDED = "SELECT name FROM migration ORDER BY number"
RECORDED_ROWS = "SELECT migration FROM migration ORDER BY number"


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    """The DSN of a database without a schema."""
    name = f"empty_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name}")
    yield urlsplit(postgres)._replace(path=f"/{name}").geturl()
    await connection.execute(f"DROP DATABASE {name}")
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The steps as another version of the server might have them."""
    for name in STEPS:
        shutil.copy(PACKAGED / name, tmp_path)
    monkeypatch.setattr(migrations, "files", lambda _package: tmp_path)
    return tmp_path


async def fetch(dsn: str, sql: str) -> list[object]:
    """The first column of what the database answers."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def test_two_servers_that_start_at_once_apply_each_step_once(empty: str) -> None:
    await asyncio.gather(migrate(empty), migrate(empty))
    assert await fetch(empty, RECORDED) == STEPS


async def test_a_later_start_applies_nothing(empty: str) -> None:
    await migrate(empty)
    applied = await fetch(empty, RECORDED_ROWS)
    await migrate(empty)
    assert await fetch(empty, RECORDED_ROWS) == applied


async def test_a_newer_server_applies_what_is_missing(empty: str, folder: Path) -> None:
    await migrate(empty)
    (folder / NEXT).write_text("CREATE TABLE news ()")
    await migrate(empty)
    assert await fetch(empty, "SELECT count(*) FROM news") == [0]
    assert await fetch(empty, RECORDED) == [*STEPS, NEXT]


async def test_a_step_that_has_changed_since_is_refused(empty: str, folder: Path) -> None:
    await migrate(empty)
    with (folder / STEPS[2]).open("a") as step:
        step.write("-- changed\n")
    (folder / NEXT).write_text("CREATE TABLE news ()")
    with pytest.raises(MigrationError, match=STEPS[2]):
        await migrate(empty)
    assert await fetch(empty, RECORDED) == STEPS


async def test_a_database_ahead_of_the_server_is_refused(empty: str, folder: Path) -> None:
    (folder / NEXT).write_text("CREATE TABLE news ()")
    await migrate(empty)
    (folder / NEXT).unlink()
    with pytest.raises(MigrationError, match=f"at step {len(STEPS) + 1}, newer than this server"):
        await migrate(empty)
    assert await fetch(empty, RECORDED) == [*STEPS, NEXT]


async def test_a_migration_that_fails_is_rolled_back_and_may_be_fixed(
    empty: str, folder: Path
) -> None:
    (folder / NEXT).write_text("CREATE TABLE half (); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)
    assert await fetch(empty, RECORDED) == STEPS
    assert await fetch(empty, "SELECT to_regclass('half')") == [None]
    (folder / NEXT).write_text("CREATE TABLE half ()")
    await migrate(empty)
    assert await fetch(empty, RECORDED) == [*STEPS, NEXT]


async def test_a_role_that_is_there_already_is_used(empty: str, dsn: str) -> None:
    # That of the shared database: a role belongs to the whole of the Postgres.
    exists = "SELECT count(*) FROM pg_roles WHERE rolname = 'giftpay_server'"
    assert await fetch(dsn, exists) == [1]
    assert await fetch(empty, exists) == [1]
    await migrate(empty)
    may_insert = "SELECT has_table_privilege('giftpay_server', 'entry', 'INSERT')"
    assert await fetch(empty, may_insert) == [True]


@pytest.fixture
async def holder(empty: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Another session, which holds the lock for migrations."""
    connection = await asyncpg.connect(empty)
    await connection.execute("SELECT pg_advisory_lock(7171)")
    yield connection
    await connection.close()


async def test_a_start_that_waits_for_another_migration_logs_for_which(
    empty: str,
    holder: asyncpg.Connection[asyncpg.Record],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged = asyncio.Event()
    monkeypatch.setattr(caplog.handler, "flush", logged.set)  # called after each line
    migrating = asyncio.create_task(migrate(empty))
    await logged.wait()
    assert not migrating.done()
    await holder.execute("SELECT pg_advisory_unlock(7171)")
    await migrating
    (said,) = caplog.messages
    assert said.endswith(f"session {holder.get_server_pid()} of the database")
    assert await fetch(empty, RECORDED) == STEPS


async def test_a_waiting_start_logs_repeatedly(
    empty: str,
    holder: asyncpg.Connection[asyncpg.Record],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrations, "SAY_AFTER_S", 0.0)
    monkeypatch.setattr(migrations, "SAY_EVERY_S", 0.2)
    with pytest.raises(MigrationError):
        await migrate(empty, wait_max_s=1)
    assert len(caplog.messages) > 1


async def test_a_start_does_not_wait_without_end(
    empty: str, holder: asyncpg.Connection[asyncpg.Record]
) -> None:
    with pytest.raises(MigrationError, match=f"session {holder.get_server_pid()} of the database"):
        await migrate(empty, wait_max_s=0.1)
    assert await fetch(empty, "SELECT to_regclass('migration')") == [None]
