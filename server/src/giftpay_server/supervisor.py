"""Runs several server processes on one port; the parent restarts those that end."""

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
CANNOT_START = 2  # the exit status of a process with an invalid setting or schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The exponential back-off of restarts."""

    first_s: float = 1.0
    max_s: float = 30.0
    steady_s: float = 60.0  # a process that ran so long was in no crash loop


BACKOFF = Backoff()


@dataclass(slots=True, kw_only=True)
class Slot:
    """One of the processes, and its replacements."""

    spawn: Callable[[], subprocess.Popen[bytes]]
    backoff: Backoff = BACKOFF
    process: subprocess.Popen[bytes] | None = None
    next_start: float = 0.0
    status: int | None = None  # the exit status of the last one
    _started: float = 0.0
    _failures: int = 0  # in a row

    def watch(self, now: float) -> None:
        """Starts a process if there is none and its back-off is over."""
        if self.process is not None:
            if (status := self.process.poll()) is not None:
                _close(self.process)
                self.process, self.status = None, status
                self._schedule_restart(now, f"a process ended ({status})")
        elif now >= self.next_start:
            self._started = now
            try:
                self.process = self.spawn()
            except OSError as error:  # no memory, or too many processes
                self._schedule_restart(now, f"no process can be started: {error}")

    def _schedule_restart(self, now: float, what: str) -> None:
        is_steady = now - self._started >= self.backoff.steady_s
        self._failures = 1 if is_steady else self._failures + 1
        wait_s = delay_s(self._failures, first_s=self.backoff.first_s, max_s=self.backoff.max_s)
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
    """Keeps so many processes serving until `stopped`; then they finish their calls and end.

    Raises ConfigError if none of them can start, and none ever served.
    """
    with _reserved(config.listen) as address:
        spawn = partial(_spawn, command, worker_environment(config, address))
        slots = [Slot(spawn=spawn, backoff=backoff) for _ in range(processes)]
        announcing = asyncio.create_task(_announce(address, processes))
        try:
            while not stopped.is_set():
                for slot in slots:
                    slot.watch(monotonic())
                if not announcing.done() and all(slot.status == CANNOT_START for slot in slots):
                    raise ConfigError(f"none of {processes} processes can start: see above")
                await _wait(stopped)
        finally:
            announcing.cancel()
            running = [slot.process for slot in slots if slot.process is not None]
            await asyncio.to_thread(_stop, running, grace_s=config.grace_s)


async def _announce(address: str, processes: int) -> None:
    """Prints a line once a process accepts connections; the reserved port alone refuses them."""
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


async def _wait(stopped: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), WATCH_S)
    except TimeoutError:
        return


@contextmanager
def _reserved(listen: str) -> Iterator[str]:
    """Binds the port without listening, so that port 0 is the same port for all processes."""
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
    """The environment of the parent, with the current value of every setting."""
    return {**os.environ, **written_settings(replace(config, listen=address))}


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # Spawned, never forked: gRPC's threads do not survive a fork. When the parent ends in any way,
    # the pipe is closed, and the process stops.
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
