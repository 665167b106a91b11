"""The cost of a gift in a single call, compared with a call that does nothing."""

from __future__ import annotations

from benchmarks.bench import Bench, Contender, Slices
from benchmarks.pgbench import RAW_GIFT, RAW_GIFT_WITH_PLATFORM_ROWS
from benchmarks.servers import Server
from benchmarks.summary import Target, divided

SATURATING = 64  # callers
CONNECTIONS_MAX = 64  # of pgbench; the embedded Postgres has 100
HALF_LOAD_TARGET = Target(10, at_most=True)


async def measure(bench: Bench, servers: dict[str, Server], databases: dict[str, str]) -> None:
    """Unary calls by 1 to 256 callers."""
    for callers in bench.plan.callers:
        contenders = _contenders(bench, servers, databases, callers)
        slices = await bench.contest(f"unary, {callers} callers", contenders)
        if callers == 1:
            _judge_single(bench, slices)
        if callers == SATURATING:
            _judge_saturated(bench, slices)
            await _half_load(bench, servers["giftpay"])


def _contenders(
    bench: Bench, servers: dict[str, Server], databases: dict[str, str], callers: int
) -> dict[str, Contender]:
    pool = min(callers, CONNECTIONS_MAX)
    contenders = {
        "echo": bench.called(servers["echo"], "", callers),
        "giftpay": bench.called(servers["giftpay"], "giftpay_main", callers),
        "naive": bench.called(servers["naive"], "naive", callers),
        "raw SQL": bench.queried(databases["raw"], RAW_GIFT, callers=pool),
        "raw SQL, platform rows": bench.queried(
            databases["raw"], RAW_GIFT_WITH_PLATFORM_ROWS, callers=pool
        ),
    }
    if bench.plan.quick:
        return {name: contenders[name] for name in ("echo", "giftpay", _third(callers))}
    return contenders


def _third(callers: int) -> str:
    return "raw SQL" if callers == 1 else "naive"


def _judge_single(bench: Bench, slices: Slices) -> None:
    floors = [
        echo.p50_ms + raw.p50_ms
        for echo, raw in zip(slices["echo"], slices["raw SQL"], strict=True)
    ]
    times = [sample.p50_ms for sample in slices["giftpay"]]
    bench.ratio("single_p50_vs_floor", [t / f for t, f in zip(times, floors, strict=True)])


def _judge_saturated(bench: Bench, slices: Slices) -> None:
    giftpay, echo = slices["giftpay"], slices["echo"]
    bench.ratio("unary_vs_echo", divided(giftpay, echo))
    cpu = divided(giftpay, echo, lambda sample: sample.cpu_us("server"))
    bench.ratio("server_cpu_vs_echo", cpu)


async def _half_load(bench: Bench, server: Server) -> None:
    full = bench.figures[f"unary, {SATURATING} callers"]["giftpay"]["gifts_per_s"]
    half = bench.served(server, "giftpay_main", connections=4, rate=full / 2)
    slices = (await bench.contest("half load", {"giftpay": half}))["giftpay"]
    bench.further("half_load_p99_vs_p50", [s.p99_ms / s.p50_ms for s in slices], HALF_LOAD_TARGET)
