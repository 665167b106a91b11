"""Gifts with a few other commands, against gifts alone."""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks.bench import Bench, Slices
from benchmarks.beside import run_beside
from benchmarks.samples import Sample
from benchmarks.scenarios.many import batch
from benchmarks.servers import Server
from benchmarks.summary import Target, divided, rate

OTHERS = 0.02  # other commands for each gift that is decided where gifts are alone
TARGET = 0.9
ALONE, MIXED = "gifts alone", "with 2 % orders and payments"


async def measure(bench: Bench, server: Server) -> None:
    """Adds orders for coins and their payments in an open loop."""
    alone = batch(bench, server)
    latest = await alone(bench.plan.slice_s)  # so that the accounts are cached

    async def by_itself(seconds: float) -> Sample:
        nonlocal latest
        latest = await alone(seconds)
        return latest

    async def beside(seconds: float) -> Sample:
        run = partial(run_beside, latest.rate * OTHERS)
        return await batch(bench, server, run_load=run)(seconds)

    slices = await bench.contest("mixed, batch of 1,000", {ALONE: by_itself, MIXED: beside})
    _compare(bench, slices)


def _compare(bench: Bench, slices: Slices) -> None:
    others = median(sample.others / sample.gifts for sample in slices[MIXED])
    bench.figures["mixed, others for each gift"] = round(others, 4)
    most = Target(1 / TARGET, at_most=True)
    for name, measure, target in (
        ("mixed_vs_alone", rate, Target(TARGET)),
        ("mixed_server_cpu_vs_alone", partial(_cpu_a_command, part="server"), most),
        ("mixed_postgres_cpu_vs_alone", partial(_cpu_a_command, part="postgres"), most),
    ):
        bench.further(name, divided(slices[MIXED], slices[ALONE], measure), target)


def _cpu_a_command(sample: Sample, part: str) -> float:
    return sample.cpu_s[part] / (sample.gifts + sample.others)
