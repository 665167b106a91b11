"""Several server processes on one port: one parent owns what they stand on, and watches them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from giftpay_server.config import Config

RESTART_S = 1.0  # after a process died
WATCH_S = 0.2


async def supervise(config: Config, *, processes: int, stopped: asyncio.Event) -> None:
    """Keeps so many processes serving until told to stop; then all finish what they have taken."""
    with _reserved(config.listen) as address:
        workers = [_spawn(config, address) for _ in range(processes)]
        greeting = asyncio.create_task(_greet(address, processes))
        try:
            while not stopped.is_set():
                for index, worker in enumerate(workers):
                    if worker.poll() is not None:
                        print(
                            f"a process ended ({worker.returncode}); starting another", flush=True
                        )
                        await asyncio.sleep(RESTART_S)
                        workers[index] = _spawn(config, address)
                await _pause(stopped)
        finally:
            greeting.cancel()
            await asyncio.to_thread(_stop, workers, grace_s=config.grace_s)


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
        reserved.bind((host.strip("[]"), int(port)))
        yield f"{host}:{reserved.getsockname()[1]}"


def _spawn(config: Config, address: str) -> subprocess.Popen[bytes]:
    # Spawned, never forked: gRPC's threads do not survive a fork. The pipe ends with us, however
    # we end, and a process whose pipe ends stops.
    environment = {
        **os.environ,
        "GIFTPAY_DATABASE_URL": config.database_url,
        "GIFTPAY_MIGRATE_URL": config.migrate_url,
        "GIFTPAY_SANDBOX_URL": config.sandbox_url,
        "GIFTPAY_TRUSTED_CALLERS": ",".join(config.trusted_callers),
        "GIFTPAY_LISTEN": address,
        "GIFTPAY_INSECURE": "1" if config.insecure else "",
        "GIFTPAY_SAMPLE_CATALOG": "1" if config.sample_catalog else "",
    }
    command = [sys.executable, "-m", "giftpay_server", "--worker"]
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
