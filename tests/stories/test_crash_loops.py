"""Processes that cannot start or die at once: restarted with back-off, while others are watched."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from giftpay_server.config import Config
from giftpay_server.settings import ConfigError
from giftpay_server.supervisor import Backoff, Slot, supervise

from tests.stories.processes import PATIENCE_S, until

NEVER = Backoff(first_s=600, max_s=600)
SOON = Backoff(first_s=0.05, max_s=0.1)

# Serves if it can take one of the places, and exits with status 2 otherwise.
CHILD = """
import os, socket, sys
from pathlib import Path

for place in Path(sys.argv[1]).glob("place-*"):
    try:
        place.rename(place.with_name(f"taken-{os.getpid()}"))
    except FileNotFoundError:
        continue
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        host, _, port = os.environ["GIFTPAY_LISTEN"].rpartition(":")
        listening.bind((host, int(port)))
        listening.listen()
        sys.stdin.read()
    sys.exit(0)
sys.exit(2)
"""


class Supervised:
    """A supervisor in this process, of two children that serve where there is a place for them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], backoff: Backoff) -> None:
        self.stopped = asyncio.Event()
        self.said = ""
        self._folder = folder
        self._capsys = capsys
        command = (sys.executable, "-c", CHILD, str(folder))
        config = Config(listen="127.0.0.1:0", database_url="postgresql://nowhere/giftpay")
        supervising = supervise(
            config, processes=2, stopped=self.stopped, backoff=backoff, command=command
        )
        self.task = asyncio.create_task(supervising)

    async def says(self, line: str, *, times: int = 1) -> None:
        """Waits until it has said so."""
        await until(lambda: self._log_text().count(line) >= times)

    def kill_serving(self) -> None:
        """kill -9 to each that serves; their places are gone."""
        for taken in self._folder.glob("taken-*"):
            os.kill(int(taken.name.partition("-")[2]), signal.SIGKILL)
            taken.unlink()

    def _log_text(self) -> str:
        self.said += self._capsys.readouterr().out
        return self.said


@asynccontextmanager
async def supervised(
    folder: Path, capsys: pytest.CaptureFixture[str], *, places: int, backoff: Backoff
) -> AsyncIterator[Supervised]:
    for number in range(places):
        (folder / f"place-{number}").touch()
    those = Supervised(folder, capsys, backoff)
    try:
        yield those
    finally:
        those.stopped.set()
        await asyncio.gather(those.task, return_exceptions=True)


def crashing() -> subprocess.Popen[bytes]:
    return subprocess.Popen((sys.executable, "-c", "raise SystemExit(3)"))


def crash(slot: Slot, *, begun: float, ended: float) -> float:
    """A start and an end of its process; how long it then waits."""
    slot.watch(begun)
    assert slot.process is not None
    slot.process.wait(PATIENCE_S)
    slot.watch(ended)
    assert slot.status == 3
    slot.watch(slot.next_start - 0.01)
    assert slot.process is None
    return slot.next_start - ended


def test_a_crash_loop_slows_down_up_to_half_a_minute() -> None:
    slot = Slot(spawn=crashing)
    waits = [crash(slot, begun=now, ended=now) for now in range(0, 700, 100)]
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_after_a_minute_of_service_a_process_is_restarted_soon() -> None:
    slot = Slot(spawn=crashing)
    for now in (0, 100, 200):
        crash(slot, begun=now, ended=now + 59)
    assert crash(slot, begun=300, ended=360) == 1
    assert crash(slot, begun=400, ended=400) == 2


def test_a_process_that_cannot_be_spawned_is_tried_again() -> None:
    slot = Slot(spawn=lambda: subprocess.Popen(("/nowhere/python",)))
    slot.watch(0.0)
    assert (slot.process, slot.next_start) == (None, 1.0)
    slot.watch(1.0)
    assert slot.next_start == 3.0


async def test_others_are_watched_while_one_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with supervised(tmp_path, capsys, places=1, backoff=NEVER) as those:
        await those.says("giftpay serves on")
        await those.says("a process ended (2); starting another in 600 s")
        those.kill_serving()
        await those.says("a process ended (-9); starting another in 600 s")
        assert not those.task.done()


async def test_when_none_can_start_the_supervisor_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with supervised(tmp_path, capsys, places=0, backoff=NEVER) as those:
        with pytest.raises(ConfigError, match="none of 2 processes can start"):
            await asyncio.wait_for(those.task, PATIENCE_S)


async def test_once_they_have_served_it_is_no_setting_and_they_are_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with supervised(tmp_path, capsys, places=2, backoff=SOON) as those:
        await until(lambda: len(list(tmp_path.glob("taken-*"))) == 2)
        await those.says("giftpay serves on")
        those.kill_serving()
        await those.says("a process ended (2)", times=4)
        assert not those.task.done()
        (tmp_path / "place-2").touch()
        await until(lambda: bool(list(tmp_path.glob("taken-*"))))


async def test_a_database_that_no_process_can_use_ends_the_server_with_its_sentence(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    dsn = await new_database()
    wrong = urlsplit(dsn)._replace(path="/nowhere").geturl()
    ours = {name: text for name, text in os.environ.items() if not name.startswith("GIFTPAY_")}
    settings = {"GIFTPAY_MIGRATE_URL": dsn, "GIFTPAY_DATABASE_URL": wrong}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "giftpay_server", "--listen", "127.0.0.1:0", "--processes", "2"),
        env=ours | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    lines = said.decode().splitlines()
    assert process.returncode == 2
    assert 'giftpay-server: database "nowhere" does not exist' in lines
    assert lines[-1] == "giftpay-server: none of 2 processes can start: see above"


def test_an_error_is_said_in_one_write_so_that_those_of_other_processes_stay_apart() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # a message a write
    with ours, theirs:
        command = [sys.executable, "-m", "giftpay_server", "--processes", "0"]
        assert subprocess.call(command, stderr=theirs.fileno()) == 2
        assert (
            ours.recv(1000) == b"giftpay-server: --processes must be 1 to 64 processes, not '0'\n"
        )
