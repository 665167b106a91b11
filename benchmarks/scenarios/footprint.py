"""The bytes of a gift on disk and in the WAL; the memory and start time of a server."""

from __future__ import annotations

import time

from giftpay.v1 import SendGiftRequest

from benchmarks.bench import Bench
from benchmarks.databases import Storage, copy_population, execute, storage
from benchmarks.meters import memory_mb
from benchmarks.scenarios.calls import SATURATING
from benchmarks.servers import Server, giftpay

WITH_MESSAGE = SendGiftRequest(
    message="Good luck from all of us!", context="live/1234"
).SerializeToString()
STARTS = 3


async def measure(bench: Bench) -> None:
    """Measures the growth of a separate database under unary load."""
    dsn = await copy_population(bench.dsn, "weighed")
    async with giftpay("giftpay-weighed", dsn=dsn, logs=bench.out) as server:
        await execute(dsn, "CHECKPOINT")
        bench.figures["bytes a gift"] = {
            "right after a checkpoint": await _weigh(bench, server, dsn),
            "in steady state": await _weigh(bench, server, dsn),
            "with message and context": await _weigh(bench, server, dsn, suffix=WITH_MESSAGE),
        }
        bench.figures["server memory under load, MB"] = round(memory_mb(server.pids))
    bench.figures["start to serving, s"] = await _starts(bench)


async def _weigh(bench: Bench, server: Server, dsn: str, suffix: bytes = b"") -> dict[str, float]:
    run = bench.called(server, "weighed", SATURATING, suffix=suffix)
    before = await storage(dsn)
    sample = await run(bench.plan.slice_s * 3)
    after = await storage(dsn)
    return _per_gift(before, after, sample.acknowledged)


def _per_gift(before: Storage, after: Storage, gifts: int) -> dict[str, float]:
    grown = {
        table: round((after.tables[table] - before.tables[table]) / gifts, 1)
        for table in after.tables
    }
    return {
        "disk": round(sum(grown.values()), 1),
        "wal": round((after.wal - before.wal) / gifts, 1),
    } | grown


async def _starts(bench: Bench) -> list[float]:
    """Seconds from the command to the first accepted call, on an existing database."""
    state, seconds = bench.state.with_name("start"), []
    starts = 1 if bench.plan.quick else STARTS
    for _ in range(starts + 1):
        started = time.monotonic()
        async with giftpay("giftpay-start", state=state, logs=bench.out):
            seconds.append(round(time.monotonic() - started, 2))
    return seconds[1:]  # the first made the database
