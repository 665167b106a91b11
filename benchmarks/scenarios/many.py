"""Many gifts in a message, compared with the bulk limit; and distributions of gifts."""

from __future__ import annotations

from benchmarks.bench import Bench, Contender, Run
from benchmarks.gifts import Spread
from benchmarks.load import BATCH, STREAM, run_load
from benchmarks.pgbench import BULK, BULK_SIZE
from benchmarks.servers import Server
from benchmarks.summary import divided

BATCH_CALLERS = 3  # one batch is being written, one decided, one in transit
STREAMS = 4
STREAM_SIZE = 100  # gifts in a message of a stream
DATABASE = "giftpay_main"


async def measure(bench: Bench, server: Server, databases: dict[str, str]) -> None:
    """Batches and streams against the bulk limit."""
    contenders = {
        "bulk": bench.queried(databases["bulk"], BULK, callers=1, size=BULK_SIZE),
        "batch of 1,000": batch(bench, server),
        f"stream, {STREAM_SIZE} a message": _stream(bench, server, STREAM_SIZE),
    }
    if not bench.plan.quick:
        contenders |= {f"stream, {n} a message": _stream(bench, server, n) for n in (1, 10)}
        contenders["batch of 1,000, one caller"] = batch(bench, server, callers=1)
    slices = await bench.contest("many gifts", contenders)
    bench.ratio("batch_vs_bulk", divided(slices["batch of 1,000"], slices["bulk"]))
    streamed = slices[f"stream, {STREAM_SIZE} a message"]
    bench.ratio("stream_vs_bulk", divided(streamed, slices["bulk"]))


async def measure_spreads(bench: Bench, server: Server) -> None:
    """One creator for all gifts, and Zipf distributions, against the uniform one."""
    slices = await bench.contest(
        "spread of gifts, batch of 1,000",
        {spread.value: batch(bench, server, spread=spread) for spread in Spread},
    )
    uniform = slices[Spread.UNIFORM.value]
    bench.ratio("hot_vs_uniform", divided(slices[Spread.HOT.value], uniform))
    bench.ratio("zipf_vs_uniform", divided(slices[Spread.ZIPF.value], uniform))
    if not bench.plan.quick:
        await bench.contest(
            "spread of gifts, unary, 64 callers",
            {spread.value: bench.called(server, DATABASE, 64, spread=spread) for spread in Spread},
        )


def batch(
    bench: Bench,
    server: Server,
    database: str = DATABASE,
    *,
    callers: int = BATCH_CALLERS,
    spread: Spread = Spread.UNIFORM,
    run_load: Run = run_load,
) -> Contender:
    """Callers that send batches of 1,000."""
    shape = {"connections": callers, "size": BULK_SIZE, "spread": spread}
    return bench.served(server, database, run_load=run_load, method=BATCH, **shape)


def _stream(bench: Bench, server: Server, size: int) -> Contender:
    return bench.served(server, DATABASE, method=STREAM, connections=STREAMS, size=size)
