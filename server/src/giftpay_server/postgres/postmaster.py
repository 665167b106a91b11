"""Starts, adopts and stops the server process of Postgres."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from giftpay_server.postgres.binaries import EmbeddedPostgresError, child_environment
from giftpay_server.postgres.system_user import SystemUser, run_as

POLL_S = 0.02
SILENCE_MAX_S = 60  # crash recovery may take long, but logs a line every 10 s
# (signal, timeout in seconds): fast shutdown with a checkpoint, then immediate shutdown, which
# needs recovery at the next start.
STOP_STEPS = ((signal.SIGINT, 30), (signal.SIGQUIT, 10))


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Holds the file's lock and yields its descriptor; raises BlockingIOError if it is taken.

    A child that inherits the descriptor holds the lock as well, for as long as it lives.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


class Postmaster:
    """The server of a state folder: our child, or left by a predecessor that was killed.

    Every process of the server inherits the lock of `server.lock`. So a free lock proves that none
    is left, even if `postmaster.pid` names a process: the kernel may have reused its number.
    """

    def __init__(self, state: Path) -> None:
        self._data = state / "data"
        self._log = state / "postgres.log"
        self._lock = state / "server.lock"
        self._child: subprocess.Popen[bytes] | None = None
        self._record_before: list[str] = []

    async def adopt(self) -> bool:
        """Adopts a running server; False once no process of an earlier one is left."""
        await self._until(lambda: self._is_ready() or self._is_gone())
        return self._is_ready()

    async def start(self, command: list[str], user: SystemUser | None) -> None:
        """Returns once the server accepts connections, however long its recovery takes."""
        child = self._child = self._launch(command, user)
        await self._until(lambda: self._is_ready() or child.poll() is not None)
        if not self._is_ready():
            raise EmbeddedPostgresError(f"Postgres did not start.\n{self._log_end()}")

    async def stop(self) -> None:
        """Ends all sessions and the server within 40 s, never by SIGKILL."""
        for number, timeout_s in STOP_STEPS:
            process_id = self._process_id()
            if process_id is None:
                return
            with suppress(ProcessLookupError):
                os.kill(process_id, number)
            if await self._is_gone_within(timeout_s):
                return
        raise EmbeddedPostgresError(
            f"Postgres (process {process_id}) does not stop. Its data is safe.\n{self._log_end()}"
        )

    def address(self) -> tuple[Path, int]:
        """The folder of the server's socket, and the port in the socket's name."""
        record = self._record()
        return Path(record[4]), int(record[3])

    def _launch(self, command: list[str], user: SystemUser | None) -> subprocess.Popen[bytes]:
        self._record_before = self._record()
        environment = child_environment()
        if self._record_before:
            # That process was not adopted: it is dead, or another process has its number now. In
            # the latter case Postgres would refuse to start, unless it takes it for an ancestor.
            environment["PG_GRANDPARENT_PID"] = self._record_before[0]
        if self._log.exists():
            self._log.replace(f"{self._log}.1")
        with locked(self._lock) as lock, open(self._log, "wb", opener=_private) as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C in a terminal is for us to handle
                **run_as(user),
            )

    async def _until(self, condition: Callable[[], bool]) -> None:
        written, deadline = -1, 0.0
        while not condition():
            if written != (written := self._log_bytes()):
                deadline = time.monotonic() + SILENCE_MAX_S
            elif time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Postgres runs in {self._data}, but has accepted no connections and "
                    f"logged nothing for {SILENCE_MAX_S} s.\n{self._log_end()}"
                )
            await asyncio.sleep(POLL_S)

    async def _is_gone_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not self._is_gone():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _is_ready(self) -> bool:
        record = self._record()
        return (
            len(record) > 7
            and record[7].strip() == "ready"
            and record != self._record_before
            and _works_in(self._data, int(record[0]))
        )

    def _is_gone(self) -> bool:
        if self._process_id() is not None:
            return False
        try:
            with locked(self._lock):
                return True
        except BlockingIOError:
            return False

    def _process_id(self) -> int | None:
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        record = self._record()
        return int(record[0]) if record and _works_in(self._data, int(record[0])) else None

    def _record(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return []

    def _log_bytes(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _log_end(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join([f"The end of {self._log}:", *(f"  {line}" for line in lines[-12:])])


def _works_in(folder: Path, process_id: int) -> bool:
    """Whether the process is a server at work in the folder, not a stranger of the same number."""
    if sys.platform == "linux":
        try:
            return os.path.samefile(f"/proc/{process_id}/cwd", folder)
        except OSError:
            return False
    command = ["ps", "-ww", "-o", "command=", "-p", str(process_id)]
    return f"-D {folder}" in subprocess.run(command, capture_output=True, text=True).stdout


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
