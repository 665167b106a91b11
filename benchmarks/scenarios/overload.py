"""Overload: four times the load that saturates the server."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.load import BATCH
from benchmarks.meters import memory_mb
from benchmarks.scenarios.calls import SATURATING
from benchmarks.scenarios.many import DATABASE, batch
from benchmarks.servers import Server
from benchmarks.summary import Target, divided

TIMES = 4
OPEN_LOOP_TARGET = Target(0.8)


async def measure(bench: Bench, server: Server) -> None:
    """More callers in closed loops; then more batches in an open loop."""
    memory_before = memory_mb(server.pids)
    callers = {
        f"{count} callers": bench.called(server, DATABASE, count)
        for count in (SATURATING, SATURATING * TIMES)
    }
    usual, over = (await bench.contest("overload, unary", callers)).values()
    bench.ratio("overload_goodput", divided(over, usual))
    await _open_loop(bench, server)
    bench.figures["overload, memory"] = {
        "before_mb": round(memory_before),
        "after_mb": round(memory_mb(server.pids)),
    }


async def _open_loop(bench: Bench, server: Server) -> None:
    saturated = bench.figures["many gifts"]["batch of 1,000"]["gifts_per_s"]
    calls = saturated * TIMES / 1_000
    flood = bench.served(server, DATABASE, method=BATCH, connections=16, size=1_000, rate=calls)
    contenders = {"saturated": batch(bench, server), "4 times the rate": flood}
    usual, over = (await bench.contest("overload, batches at a rate", contenders)).values()
    bench.further("overload_open_loop_goodput", divided(over, usual), OPEN_LOOP_TARGET)
