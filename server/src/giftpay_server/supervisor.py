"""Several server processes on one port: one parent owns what they stand on, and watches them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

from giftpay_server.config import Config
from giftpay_server.journal.backoff import delay_s
from giftpay_server.settings import ConfigError, written_settings

COMMAND = (sys.executable, "-m", "giftpay_server", "--worker")
WATCH_S = 0.2
CANNOT_START = 2  # the exit status of a process with a setting or a schema that it cannot use


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """When a process that ended is started again."""

    first_s: float = 1.0
    most_s: float = 30.0
    steady_s: float = 60.0  # whoever lived so long was in no crash loop


BACKOFF = Backoff()


@dataclass(slots=True, kw_only=True)
class Slot:
    """One of the processes, and those that are started in its place."""

    spawn: Callable[[], subprocess.Popen[bytes]]
    backoff: Backoff = BACKOFF
    process: subprocess.Popen[bytes] | None = None
    next_start: float = 0.0
    status: int | None = None  # with which the last one ended
    _begun: float = 0.0
    _ends: int = 0  # in a row, each soon after its start

    def watch(self, now: float) -> None:
        """Notices that the process ended; starts another once it is time to."""
        if self.process is not None:
            if (status := self.process.poll()) is not None:
                _close(self.process)
                self.process, self.status = None, status
                self._ended(now, f"a process ended ({status})")
        elif now >= self.next_start:
            self._begun = now
            try:
                self.process = self.spawn()
            except OSError as error:  # no memory, or too many processes
                self._ended(now, f"no process can be started: {error}")

    def _ended(self, now: float, what: str) -> None:
        is_steady = now - self._begun >= self.backoff.steady_s
        self._ends = 1 if is_steady else self._ends + 1
        wait_s = delay_s(self._ends, first_s=self.backoff.first_s, max_s=self.backoff.most_s)
        self.next_start = now + wait_s
        print(f"{what}; starting another in {wait_s:g} s", flush=True)


async def supervise(
    config: Config,
    *,
    processes: int,
    stopped: asyncio.Event,
    backoff: Backoff = BACKOFF,
    command: Sequence[str] = COMMAND,
) -> None:
    """Keeps so many processes serving until `stopped`; then all finish what they have taken.

    Raises ConfigError when each of them ended because it cannot start, and none ever served.
    """
    with _reserved(config.listen) as address:
        spawn = partial(_spawn, command, worker_environment(config, address))
        slots = [Slot(spawn=spawn, backoff=backoff) for _ in range(processes)]
        greeting = asyncio.create_task(_greet(address, processes))
        try:
            while not stopped.is_set():
                for slot in slots:
                    slot.watch(monotonic())
                if not greeting.done() and all(slot.status == CANNOT_START for slot in slots):
                    raise ConfigError(f"none of {processes} processes can start: see above")
                await _pause(stopped)
        finally:
            greeting.cancel()
            running = [slot.process for slot in slots if slot.process is not None]
            await asyncio.to_thread(_stop, running, grace_s=config.grace_s)


async def _greet(address: str, processes: int) -> None:
    """Says so once one of the processes accepts: the port alone, reserved, refuses."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            await asyncio.sleep(WATCH_S)
        else:
            writer.close()
            print(f"giftpay serves on {address} with {processes} processes", flush=True)
            return


async def _pause(stopped: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), WATCH_S)
    except TimeoutError:
        return


@contextmanager
def _reserved(listen: str) -> Iterator[str]:
    """Binds the port without listening on it, so that port 0 is the same one for all processes."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            reserved.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise ConfigError(f"cannot listen on {listen}: {error}") from error
        yield f"{host}:{reserved.getsockname()[1]}"


def worker_environment(config: Config, address: str) -> dict[str, str]:
    """Our own, with every setting as it is by now."""
    return {**os.environ, **written_settings(replace(config, listen=address))}


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # Spawned, never forked: gRPC's threads do not survive a fork. The pipe ends with us, however
    # we end, and a process whose pipe ends stops.
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True)


def _stop(workers: list[subprocess.Popen[bytes]], *, grace_s: float) -> None:
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    deadline = monotonic() + grace_s + 10
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()  # what it acknowledged is committed; the rest was never acknowledged
            worker.wait()
        _close(worker)


def _close(ended: subprocess.Popen[bytes]) -> None:
    if ended.stdin is not None:
        ended.stdin.close()
