"""More processes: behind one port, and as two servers on one database."""

from __future__ import annotations

from contextlib import AsyncExitStack

from benchmarks.bench import Bench
from benchmarks.databases import copy_population, deadlocks
from benchmarks.servers import Server, giftpay
from benchmarks.summary import Target, divided

CALLERS = 256
NOT_BEHIND = Target(0.9)


async def measure(bench: Bench) -> None:
    """One process, two processes on one port, and two independent servers."""
    dsn = await copy_population(bench.dsn, "shared")
    async with AsyncExitStack() as running:

        async def start(name: str, *options: str) -> Server:
            server = giftpay(name, *options, dsn=dsn, logs=bench.out)
            return await running.enter_async_context(server)

        one = await start("giftpay-one")
        servers = {
            "one process": one,
            "--processes 2": await start("giftpay-two", "--processes", "2"),
            "two servers": one.with_another(await start("giftpay-other")),
        }
        slices = await bench.contest(
            f"processes, unary, {CALLERS} callers",
            {name: bench.called(server, "shared", CALLERS) for name, server in servers.items()},
        )
    compared = divided(slices["two servers"], slices["one process"])
    bench.further("two_servers_vs_one", compared, NOT_BEHIND)
    bench.figures["processes, deadlocks"] = await deadlocks(dsn)
