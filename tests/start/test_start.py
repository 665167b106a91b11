"""The last line of a server that cannot start, and the greeting of one with embedded parts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from giftpay.cli.top_up import DEFAULT_SANDBOX
from giftpay_server.__main__ import greeting
from giftpay_server.app import foundation
from giftpay_server.config import SANDBOX_PORT, Config
from giftpay_server.postgres.embedded import embedded_postgres
from giftpay_server.postgres.migrations import MigrationError, migrate

PATIENCE_S = 60
CHANGE = "UPDATE migration SET checksum = 'other' WHERE number = 2"


async def last_line(*options: str, **settings: str) -> str:
    """The last line of a server that ends with 2; variables are named without GIFTPAY_."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("GIFTPAY_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "giftpay_server", *options),
        env=ours | {f"GIFTPAY_{name}": text for name, text in settings.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b""), err.decode()
    return err.decode().splitlines()[-1]


async def test_a_setting_that_cannot_be_used_ends_the_start_with_2() -> None:
    expected = "giftpay-server: GIFTPAY_POOL_SIZE must be 3 to 1000 connections, not '99999999'"
    assert await last_line(POOL_SIZE="99999999") == expected
    expected = "giftpay-server: GIFTPAY_LISTN is no setting; did you mean GIFTPAY_LISTEN?"
    assert await last_line(LISTN="127.0.0.1:50051") == expected
    assert "giftpay-server: --listen must be host:port" in await last_line("--listen=localhost")


async def test_an_address_that_is_not_loopback_needs_insecure() -> None:
    assert "0.0.0.0:50051 is not a loopback address" in await last_line("--listen=0.0.0.0:50051")
    Config(listen="0.0.0.0:50051", insecure=True)
    Config(listen="[::]:50051", insecure=True)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "MIGRATE_URL"])
async def test_an_unreachable_database_is_named_without_its_password(variable: str) -> None:
    away = "postgresql://anna:secret@127.0.0.1:1/giftpay"
    line = await last_line(**{"DATABASE_URL": "postgresql://db.invalid/giftpay", variable: away})
    assert line.startswith(
        f"giftpay-server: no Postgres answers at 127.0.0.1 (GIFTPAY_{variable}): "
    )
    assert "secret" not in line


@pytest.mark.parametrize(
    "url", ["postgresql://anna:se/cret@db.invalid/giftpay", "anna:secret@db.invalid/giftpay"]
)
async def test_a_malformed_database_url_is_refused_with_its_form(url: str) -> None:
    line = await last_line(DATABASE_URL=url)
    assert line.startswith("giftpay-server: GIFTPAY_DATABASE_URL must be postgresql://")
    assert "cret" not in line


async def test_the_error_of_a_schema_of_another_build_has_advice(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    dsn = await new_database()
    await change_schema(dsn)
    assert await last_line(DATABASE_URL=dsn) == (
        "giftpay-server: 0002_catalog.sql was applied with other contents: "
        "start the build that made this schema"
    )


async def test_an_embedded_schema_of_another_build_may_be_left_aside() -> None:
    # Not below pytest's own folder: as root, Postgres runs as a user who may not enter that.
    with TemporaryDirectory(prefix="giftpay-") as folder:
        state = Path(folder)
        async with embedded_postgres(state) as dsn:
            await migrate(dsn)
            await change_schema(dsn)
        with pytest.raises(MigrationError, match="or set GIFTPAY_STATE to a new folder"):
            async with foundation(Config(state=state, listen="127.0.0.1:0")):
                pass


async def change_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(CHANGE)
    await connection.close()


def test_the_command_line_and_the_server_have_the_same_default_sandbox() -> None:
    assert f"http://127.0.0.1:{SANDBOX_PORT}" == DEFAULT_SANDBOX


def test_the_greeting_exports_the_addresses_that_are_not_the_defaults() -> None:
    usual = greeting(Config(sandbox_url=DEFAULT_SANDBOX), Config().listen).splitlines()
    moved = greeting(Config(sandbox_url="http://127.0.0.1:9"), "127.0.0.1:7").splitlines()
    assert usual[0] == f"with a sandbox provider on {DEFAULT_SANDBOX}"
    assert len(usual) == 4
    assert (
        moved[2].strip()
        == "export GIFTPAY_TARGET=127.0.0.1:7 GIFTPAY_SANDBOX_URL=http://127.0.0.1:9"
    )
    assert moved[:2] + moved[3:] == ["with a sandbox provider on http://127.0.0.1:9", *usual[1:]]
