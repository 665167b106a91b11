"""Several processes on one port: they serve as one, are replaced, and end with their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

import giftpay
import psutil
from giftpay.client import Client
from giftpay.v1 import UNIT_COIN, AdjustBalanceRequest, OpenWalletRequest, SendGiftRequest
from giftpay_server.postgres.embedded import embedded_postgres

from tests.stories.processes import PATIENCE_S, until
from tests.stories.wallets import balances, prove_books

PROCESSES = 2
END_S = 30  # on a busy machine, the embedded Postgres included
CLIENTS = 16  # connections, of which each process takes some: but for one run in 30,000


class Supervisor:
    """A parent, and the processes that serve for it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process = process
        self.address = address
        self._port = int(address.rpartition(":")[2])
        self._parent = psutil.Process(process.pid)

    def workers(self) -> list[psutil.Process]:
        """Those that take connections now."""
        return [worker for worker in self._spawned() if self._ports(worker, psutil.CONN_LISTEN)]

    def connections(self, worker: psutil.Process) -> int:
        """How many clients it serves."""
        return self._ports(worker, psutil.CONN_ESTABLISHED)

    async def all_listen(self) -> list[psutil.Process]:
        """Waits until every process takes connections."""
        await until(lambda: len(self.workers()) == PROCESSES)
        return self.workers()

    async def stop(self) -> int:
        """SIGTERM to the parent; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(END_S):
            return await self.process.wait()

    def _spawned(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [each for each in self._parent.children() if "--worker" in each.cmdline()]
        return []

    def _ports(self, worker: psutil.Process, status: str) -> int:
        with suppress(psutil.NoSuchProcess):
            found = worker.net_connections("tcp")
            return sum(each.laddr.port == self._port and each.status == status for each in found)
        return 0


@asynccontextmanager
async def supervisor() -> AsyncIterator[Supervisor]:
    """Two processes on a Postgres of their own, all of which have ended in the end."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("GIFTPAY_")}
    command = ("-m", "giftpay_server", "--listen", "127.0.0.1:0", "--processes", str(PROCESSES))
    with (
        TemporaryDirectory(prefix="giftpay-") as state,
        NamedTemporaryFile(prefix="giftpay-", suffix=".log") as log,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            env=ours | {"GIFTPAY_STATE": state},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        try:
            yield Supervisor(process, await _address(process, log=Path(log.name).read_text))
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), PATIENCE_S)
            async with embedded_postgres(Path(state)):
                pass  # takes over a Postgres that outlived the parent, and ends it


async def _address(process: asyncio.subprocess.Process, *, log: Callable[[], str]) -> str:
    assert process.stdout is not None
    said = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
    words = said.split()
    assert words[:3] == ["giftpay", "serves", "on"], log()
    assert words[4:] == ["with", str(PROCESSES), "processes"]
    return words[3]


@asynccontextmanager
async def clients(address: str) -> AsyncIterator[list[Client]]:
    """Clients with a connection each."""
    async with AsyncExitStack() as connected:
        yield [
            await connected.enter_async_context(giftpay.connect(address, timeout=PATIENCE_S))
            for _ in range(CLIENTS)
        ]


async def open_wallets(client: Client) -> None:
    """Anna has a hundred coins, Ben nothing."""
    for owner_id in ("anna", "ben"):
        opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
        await client.wallets.OpenWallet(opening)
    request = AdjustBalanceRequest(owner_id="anna", unit=UNIT_COIN, amount=100, reason="story")
    await client.admin.AdjustBalance(request)


def give(client: Client) -> Awaitable[object]:
    request = SendGiftRequest(sender_id="anna", recipient_id="ben", gift_id="rose")
    return client.gifts.SendGift(request)


async def test_the_processes_serve_as_one_and_end_together() -> None:
    async with supervisor() as supervised:
        workers = await supervised.all_listen()
        async with clients(supervised.address) as connected:
            await open_wallets(connected[0])
            await asyncio.gather(*(give(client) for client in connected))  # of the sample catalog
            assert all(supervised.connections(worker) for worker in workers)
            assert await balances(connected[0], "ben") == (0, CLIENTS)
            await prove_books(connected[0])
        family = psutil.Process(supervised.process.pid).children(recursive=True)
        assert len(family) > len(workers)  # the Postgres is one of them
        assert await supervised.stop() == 0
        assert psutil.wait_procs(family, timeout=1)[1] == []


async def test_a_process_that_is_killed_is_replaced_and_calls_go_on() -> None:
    async with supervisor() as supervised, clients(supervised.address) as connected:
        killed, other = await supervised.all_listen()
        await open_wallets(connected[0])
        await asyncio.gather(*(give(client) for client in connected))
        under_way = asyncio.gather(*(give(client) for client in connected))
        await asyncio.sleep(0)
        killed.kill()
        await under_way
        await until(lambda: killed not in supervised.workers())
        assert other in await supervised.all_listen()
        await asyncio.gather(*(give(client) for client in connected))
        assert await balances(connected[0], "ben") == (0, 3 * CLIENTS)
        await prove_books(connected[0])


async def test_without_their_parent_the_processes_end_by_themselves() -> None:
    async with supervisor() as supervised:
        workers = await supervised.all_listen()
        async with giftpay.connect(supervised.address) as client:
            await open_wallets(client)
        supervised.process.kill()
        await supervised.process.wait()
        await until(lambda: not any(worker.is_running() for worker in workers))
