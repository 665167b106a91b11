"""`python -m benchmarks [--quick]`: compares all contenders on one embedded Postgres."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from benchmarks.bench import FULL, OUT, QUICK, Bench, Plan, scratch_folder, started
from benchmarks.conditions import conditions
from benchmarks.databases import audit, copy_population, make_naive, make_population, named
from benchmarks.picture import draw
from benchmarks.report import results, table, write_json
from benchmarks.scenarios import calls, footprint, growth, many, mixed, overload, processes
from benchmarks.servers import echo, giftpay, naive


def main() -> None:
    """Measures, and writes the results to benchmarks/out."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a short version, in under two minutes"
    )
    parser.add_argument("--state", type=Path, help="the folder for the databases; emptied after")
    arguments = parser.parse_args()
    with scratch_folder(arguments.state) as folder:
        found = asyncio.run(_run(QUICK if arguments.quick else FULL, folder))
    write_json(OUT / "results.json", found)
    draw(OUT / "results.png", found)
    print(table(found))


async def _run(plan: Plan, folder: Path) -> dict[str, Any]:
    async with started(plan, folder) as bench:
        under = await conditions(bench.dsn, folder)
        await _measure(bench)
        bench.figures["books after it all"] = await _audited(bench)
    return results(under, bench.figures, bench.ratios)


async def _measure(bench: Bench) -> None:
    await make_population(bench.dsn)
    databases = {n: await copy_population(bench.dsn, n) for n in ("giftpay_main", "raw", "bulk")}
    databases["naive"] = await make_naive(bench.dsn)
    async with (
        echo(bench.out) as echoing,
        naive(databases["naive"], bench.out) as naively,
        giftpay("giftpay-main", dsn=databases["giftpay_main"], logs=bench.out) as server,
    ):
        servers = {"echo": echoing, "naive": naively, "giftpay": server}
        await calls.measure(bench, servers, databases)
        await many.measure(bench, server, databases)
        await many.measure_spreads(bench, server)
        await mixed.measure(bench, server)
        await overload.measure(bench, server)
    await growth.measure(bench)
    await footprint.measure(bench)
    if not bench.plan.quick:
        await processes.measure(bench)


async def _audited(bench: Bench) -> dict[str, Any]:
    """Checks that every acknowledged command is in the books, and that these balance."""
    found = {}
    for database in sorted(bench.acknowledged.keys() - {"", "naive"}):
        commands, faults = await audit(named(bench.dsn, database))
        missing = bench.acknowledged[database] - commands
        found[database] = {"commands": commands, "missing": max(0, missing), "faults": faults}
    return found


if __name__ == "__main__":
    main()
