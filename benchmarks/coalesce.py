"""`python -m benchmarks.coalesce`: callers of one client with and without coalescing, interleaved.

The shipped client calls SendGift from many coroutines, each in a closed loop; the server is a
process of its own, and so is Postgres.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from giftpay.client import Client, connect
from giftpay.v1 import SendGiftRequest

from benchmarks.bench import QUICK, Bench, Contender, Plan, Slices, scratch_folder, started
from benchmarks.databases import audit, copy_population, make_population
from benchmarks.gifts import Spread, gifts
from benchmarks.meters import cpu_by_part
from benchmarks.samples import Count, Sample
from benchmarks.servers import Server, giftpay
from benchmarks.summary import Measure

CALLERS = (1, 64, 256)
ROUNDS, SLICE_S, WARM_UP_S = 8, 1.0, 0.3
SINGLE, COALESCED = "single calls", "coalesced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """The callers of one client."""

    address: str
    count: int
    coalesce: bool
    pids: Mapping[str, Sequence[int]]


def main() -> None:
    """Prints the rates, the times, the CPU, and their ratios."""
    parser = argparse.ArgumentParser(prog="benchmarks.coalesce", description=__doc__)
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=float, default=SLICE_S, help=f"default {SLICE_S}")
    parser.add_argument("--state", type=Path, help="the folder for the databases; emptied after")
    arguments = parser.parse_args()
    plan = replace(QUICK, rounds=arguments.rounds, slice_s=arguments.seconds, warm_up_s=WARM_UP_S)
    with scratch_folder(arguments.state) as folder:
        print(asyncio.run(_run(plan, folder, arguments.callers)))


async def _run(plan: Plan, folder: Path, callers: Sequence[int]) -> str:
    lines = []
    async with started(plan, folder) as bench:
        await make_population(bench.dsn)
        dsn = await copy_population(bench.dsn, "coalesce")
        async with giftpay("giftpay-coalesce", dsn=dsn, logs=bench.out) as server:
            for count in callers:
                contenders = {
                    SINGLE: _contender(bench, server, count, coalesce=False),
                    COALESCED: _contender(bench, server, count, coalesce=True),
                }
                slices = await bench.contest(f"{count} callers", contenders)
                lines += _table(count, slices)
        accepted, faults = await audit(dsn)
    missing = bench.acknowledged["coalesce"] - accepted
    return "\n".join([*lines, "", f"{accepted:,} gifts, {missing} missing; {faults or 'balance'}"])


def _contender(bench: Bench, server: Server, count: int, *, coalesce: bool) -> Contender:
    pids = {"server": server.pids, "postgres": (bench.postgres,)}
    callers = Callers(address=server.addresses[0], count=count, coalesce=coalesce, pids=pids)

    async def run(seconds: float) -> Sample:
        sample = await asyncio.get_running_loop().run_in_executor(
            bench.executor, run_callers, callers, bench.plan.warm_up_s, seconds
        )
        bench.acknowledged["coalesce"] += sample.acknowledged
        return sample

    return run


def run_callers(callers: Callers, warm_up_s: float, seconds: float) -> Sample:
    """Runs the callers, and measures them after a warm-up."""
    return asyncio.run(_Crowd(callers).run(warm_up_s, seconds))


class _Crowd:
    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._requests = map(SendGiftRequest.FromString, gifts(Spread.UNIFORM))
        self._count = Count()
        self._acknowledged = 0
        self._going = True

    async def run(self, warm_up_s: float, seconds: float) -> Sample:
        async with (
            connect(self._callers.address, coalesce=self._callers.coalesce) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._callers.count):
                group.create_task(self._call(client))
            await asyncio.sleep(warm_up_s)
            count, lasted, used = await self._measured(seconds)
            self._going = False
        return count.sample(window_s=lasted, cpu_share=used, acknowledged=self._acknowledged)

    async def _measured(self, seconds: float) -> tuple[Count, float, dict[str, float]]:
        before, begun = self._cpu(), perf_counter()
        self._count = Count()
        await asyncio.sleep(seconds)
        count, lasted, after = self._count, perf_counter() - begun, self._cpu()
        self._count = Count()
        return count, lasted, {part: (after[part] - before[part]) / lasted for part in after}

    def _cpu(self) -> dict[str, float]:
        return {**cpu_by_part(self._callers.pids), "client": process_time()}

    async def _call(self, client: Client) -> None:
        while self._going:
            begun = perf_counter()
            await client.gifts.SendGift(next(self._requests))
            self._count.times.append(perf_counter() - begun)
            self._count.accepted(1)
            self._acknowledged += 1


def _table(count: int, slices: Slices) -> list[str]:
    measures: dict[str, Measure] = {
        "gifts a second": lambda sample: sample.rate,
        "p50 ms": lambda sample: sample.p50_ms,
        "p99 ms": lambda sample: sample.p99_ms,
        "client CPU us a gift": lambda sample: sample.cpu_us("client"),
        "server CPU us a gift": lambda sample: sample.cpu_us("server"),
        "Postgres CPU us a gift": lambda sample: sample.cpu_us("postgres"),
    }
    lines = ["", f"{f'{count} callers':<26}{SINGLE:>14}{COALESCED:>14}{'ratio':>10}   range"]
    for name, measure in measures.items():
        single, coalesced = ([measure(s) for s in slices[side]] for side in (SINGLE, COALESCED))
        ratios = sorted(b / a for a, b in zip(single, coalesced, strict=True))
        between = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        cells = f"{median(single):>14,.1f}{median(coalesced):>14,.1f}{median(ratios):>10.2f}"
        lines.append(f"  {name:<24}{cells}   {between}")
    return lines


if __name__ == "__main__":
    main()
