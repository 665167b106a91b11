"""Runs an embedded Postgres: one server for one state folder, with full durability.

The state folder holds

    data/           the data folder of Postgres, created atomically
    run/            the socket, accessible only to the user that runs Postgres
    binaries/       a copy of the programs, if that user cannot reach the original
    giftpay.conf    the settings, rewritten at every start
    password        of the role giftpay
    postgres.log    of this start; postgres.log.1 of the one before
    owner.lock      held by the giftpay process that owns the server
    server.lock     held by every process of the server

If the owner is killed the server keeps running, and the next owner adopts it.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg

from giftpay_server.postgres.binaries import EmbeddedPostgresError, copied, find_binaries
from giftpay_server.postgres.data_folder import (
    initialize,
    major_version,
    make_private,
    socket_folder,
    write_settings,
)
from giftpay_server.postgres.faults import DATABASE_ERRORS
from giftpay_server.postgres.postmaster import Postmaster, locked
from giftpay_server.postgres.system_user import SystemUser, postgres_user

__all__ = ["EmbeddedPostgresError", "embedded_postgres"]

CONNECT_S = 60

# Set in the DSN, or asyncpg reads them from the environment, which is meant for other databases.
ASYNCPG_DEFAULTS = {
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "target_session_attrs": "any",
    "krbsrvname": "postgres",
    "gsslib": "gssapi",
}

DATABASE_EXISTS = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'giftpay')"
CREATE_DATABASE = "CREATE DATABASE giftpay"


@asynccontextmanager
async def embedded_postgres(state: Path, *, bin_dir: Path | None = None) -> AsyncIterator[str]:
    """Runs the Postgres of the state folder and yields the DSN of its database `giftpay`.

    The first start creates the data; a start after this process was killed adopts the running
    server. Postgres stops on exit. `bin_dir` names the programs to use instead of the packaged
    ones. Raises EmbeddedPostgresError, which says what to do, if it cannot run.
    """
    with _owned(state) as state, socket_folder(state) as sockets:
        postmaster = Postmaster(state)
        try:
            if not await postmaster.adopt():
                prepared = await asyncio.to_thread(_prepare, state, sockets, bin_dir)
                await postmaster.start(*prepared)
            dsn = _dsn(state, *postmaster.address())
            await _create_database(dsn)
            yield dsn
        finally:
            await postmaster.stop()


@contextmanager
def _owned(state: Path) -> Iterator[Path]:
    """The absolute path of the state folder, created if needed and locked for this process."""
    with ExitStack() as held:
        with _explaining_errors(state):
            state = _created(state)
            lock = state / "owner.lock"
            try:
                held.enter_context(locked(lock))
            except BlockingIOError:
                raise EmbeddedPostgresError(
                    f"The state folder {state} is in use by another giftpay process (process "
                    f"{lock.read_text()}). Stop that one, or set GIFTPAY_STATE to another folder."
                ) from None
            lock.write_text(f"{os.getpid()}")
        yield state


@contextmanager
def _explaining_errors(state: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedPostgresError(
            f"The state folder {state} cannot be used: {error}. GIFTPAY_STATE may name another."
        ) from error


def _created(state: Path) -> Path:
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    if not any(state.iterdir()):
        # Not readable by others; but the user that root runs Postgres as must be able to enter.
        state.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return state


def _prepare(
    state: Path, sockets: Path, bin_dir: Path | None
) -> tuple[list[str], SystemUser | None]:
    """Prepares a start; returns the command line of the server and the user that runs it."""
    data, settings = state / "data", state / "giftpay.conf"
    # If the caller is cancelled this continues in its thread: the lock makes the next start wait.
    with _explaining_errors(state), locked(state / "server.lock") as lock:
        binaries = find_binaries(bin_dir, major_version(data))
        user = postgres_user(data)
        _check_access(state, user)
        if user and not user.may_use(binaries.folder / "postgres"):
            binaries = copied(binaries, state / "binaries")
        if not data.exists():
            initialize(state, binaries, user, lock)
        make_private(sockets, user)
        write_settings(settings, binaries, sockets)
    return [f"{binaries.folder / 'postgres'}", "-D", f"{data}", f"--config-file={settings}"], user


def _check_access(state: Path, user: SystemUser | None) -> None:
    if user is None or user.may_use(state):
        return
    path = (*reversed(state.parents), state)
    closed = next((folder for folder in path if not user.may_use(folder)), state)
    raise EmbeddedPostgresError(
        f"Postgres refuses to run as root, so it runs as the user {user.name}, who may not enter "
        f"{closed}. Set GIFTPAY_STATE to a folder that this user can reach, such as "
        "/var/lib/giftpay, or start giftpay as an ordinary user."
    )


def _dsn(state: Path, socket_folder: Path, port: int) -> str:
    try:
        password = (state / "password").read_text()
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            f"{state / 'password'} is missing. It was made together with the data, and the data "
            "cannot be opened without it: put it back from a backup of the state folder."
        ) from None
    place = urlencode({"host": socket_folder, "port": port, **ASYNCPG_DEFAULTS}, quote_via=quote)
    return f"postgresql://giftpay:{password}@/giftpay?{place}"


async def _create_database(dsn: str) -> None:
    try:
        connection = await asyncpg.connect(dsn, database="postgres", timeout=CONNECT_S)
    except DATABASE_ERRORS as error:
        raise EmbeddedPostgresError(f"Postgres runs, but does not let us in: {error}") from error
    try:
        if not await connection.fetchval(DATABASE_EXISTS):
            await connection.execute(CREATE_DATABASE)
    finally:
        await connection.close()
