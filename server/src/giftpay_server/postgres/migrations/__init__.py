"""The schema in numbered steps, applied once each by whichever server starts first."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import asyncpg

BOOKKEEPING = """
    CREATE TABLE IF NOT EXISTS migration (
        number     integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        apply_time timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""

LOCK = "SELECT pg_advisory_lock(7171)"  # 7171: giftpay's migrations; released with the session

APPLIED = "SELECT number, checksum FROM migration ORDER BY number"

RECORD = "INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)"


class MigrationError(Exception):
    """The database's schema is not one that this server can bring up to date."""


async def migrate(dsn: str) -> None:
    """Applies the steps that are missing, each in its own transaction.

    Raises MigrationError if a step that was applied has changed since, or if the database is
    ahead of this server.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(LOCK)
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
