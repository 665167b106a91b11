"""Migrations: numbered SQL files, each applied once, by whichever server starts first."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from importlib.resources import files
from time import monotonic

import asyncpg

log = logging.getLogger(__name__)

BOOKKEEPING = """
    CREATE TABLE IF NOT EXISTS migration (
        number     integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        apply_time timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""

LOCK = "SELECT pg_try_advisory_lock(7171)"  # 7171: giftpay's migrations; ends with the session

HOLDER = """
    SELECT l.pid
      FROM pg_locks l
      JOIN pg_database d ON d.oid = l.database
     WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()
       AND (l.classid, l.objid, l.objsubid) = (0, 7171, 1)
"""

LOCK_WAIT_MAX_S = 600.0  # for the migrations of another server
LOOK_EVERY_S = 0.1
SAY_AFTER_S, SAY_EVERY_S = 1.0, 30.0

APPLIED = "SELECT number, checksum FROM migration ORDER BY number"

RECORD = "INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)"


class MigrationError(Exception):
    """This server cannot migrate the database's schema."""


async def migrate(dsn: str, *, wait_max_s: float = LOCK_WAIT_MAX_S) -> None:
    """Applies the steps that are missing, each in its own transaction.

    Raises MigrationError if a step that was applied has changed since, if the database is ahead of
    this server, or if another session migrates for longer than `wait_max_s`.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await _lock(connection, wait_max_s)
        await connection.execute(BOOKKEEPING)
        applied = {row["number"]: row["checksum"] for row in await connection.fetch(APPLIED)}
        steps = _steps()
        if len(applied) > len(steps):
            raise MigrationError(
                f"the schema is at step {len(applied)}, newer than this server: start the newer one"
            )
        for name, sql in steps:
            await _apply(connection, applied, name, sql)
    finally:
        await connection.close()


async def _lock(connection: asyncpg.Connection[asyncpg.Record], wait_max_s: float) -> None:
    begun = monotonic()
    say_at = begun + SAY_AFTER_S
    while not await connection.fetchval(LOCK):
        now = monotonic()
        if now >= begun + wait_max_s:
            holder = await connection.fetchval(HOLDER)
            raise MigrationError(
                f"session {holder} of the database has held the lock for migrations for "
                f"{wait_max_s:g} s: end it, or start again once it is done"
            )
        if now >= say_at:
            holder = await connection.fetchval(HOLDER)
            log.warning("waiting for the migrations of session %s of the database", holder)
            say_at = now + SAY_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)


def _steps() -> list[tuple[str, str]]:
    steps = [entry for entry in files(__package__).iterdir() if entry.name.endswith(".sql")]
    return sorted((entry.name, entry.read_text("utf-8")) for entry in steps)


async def _apply(
    connection: asyncpg.Connection[asyncpg.Record], applied: dict[int, str], name: str, sql: str
) -> None:
    number, checksum = int(name[:4]), hashlib.sha256(sql.encode()).hexdigest()
    if number in applied:
        if applied[number] != checksum:
            raise MigrationError(
                f"{name} was applied with other contents: start the build that made this schema"
            )
        return
    async with connection.transaction():
        await connection.execute(sql)
        await connection.execute(RECORD, number, name, checksum)
