"""`python -m benchmarks.pairs --base REV`: compares this checkout with a commit, slice by slice.

Each has its own server and its own database on one Postgres, made by its own code. The
Postgres, its settings, the installed packages and the load are those of this checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.bench import QUICK, Bench, Contender, Plan, Slices, scratch_folder, started
from benchmarks.databases import TEMPLATE, execute, named
from benchmarks.meters import cpu_by_part
from benchmarks.paired import BASE, HEAD, compared, order, table
from benchmarks.samples import Sample
from benchmarks.scenarios.many import batch
from benchmarks.servers import Server, giftpay
from benchmarks.trees import Tree, unpacked, working_tree

PAIRS, SLICE_S = 30, 0.5  # many and short, as noise of a machine lasts seconds
STARTS = 2  # of each server, as its memory layout has an effect
SETTLE_S = 3  # of batches after each start, so that most accounts are cached
UNARY, BATCH = "SendGift, 64 callers", "BatchSendGifts of 1,000, 3 callers"

POPULATE = """
import asyncio, sys
from benchmarks.databases import make_population
asyncio.run(make_population(sys.argv[1]))
"""

AUDIT = """
import asyncio, json, sys
from benchmarks.databases import audit
print(json.dumps(asyncio.run(audit(sys.argv[1]))))
"""

Trees = Mapping[str, Tree]  # by side
Servers = Mapping[str, Server]
Contenders = dict[str, dict[str, Contender]]  # by shape and side


def main() -> int:
    """Prints the ratios; returns 1 if a side's books have faults."""
    arguments = _arguments()
    plan = replace(QUICK, rounds=arguments.pairs, slice_s=arguments.seconds)
    with scratch_folder(arguments.state) as folder:
        head = unpacked(arguments.head, folder) if arguments.head else working_tree()
        trees = {BASE: unpacked(arguments.base, folder), HEAD: head}
        found = asyncio.run(_run(plan, folder, trees))
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return int(any(books["faults"] or books["missing"] for books in found["books"].values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.pairs", description="One commit against another, in interleaved slices."
    )
    parser.add_argument("--base", required=True, metavar="REV", help="the commit to compare with")
    parser.add_argument(
        "--head", metavar="REV", help="the commit to measure; by default this checkout"
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"default {PAIRS}")
    parser.add_argument("--seconds", type=float, default=SLICE_S, help=f"default {SLICE_S}")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--state", type=Path, help="the folder for the databases; emptied after")
    return parser.parse_args()


async def _run(plan: Plan, folder: Path, trees: Trees) -> dict[str, Any]:
    slices: dict[str, Slices] = {shape: {BASE: [], HEAD: []} for shape in (UNARY, BATCH)}
    async with started(plan, folder) as bench:
        for side, tree in trees.items():
            await tree.run(POPULATE, bench.dsn)
            await execute(bench.dsn, f"ALTER DATABASE {TEMPLATE} RENAME TO {side}")
        for number in range(STARTS):
            async with _servers(bench, trees, order(number)) as servers:
                pairs = len(range(number, plan.rounds, STARTS))
                await _contest(_contenders(bench, servers), pairs, plan.slice_s, slices)
        books = {side: await _audited(bench, side, tree) for side, tree in trees.items()}
    names = {side: tree.name for side, tree in trees.items()}
    return {**names, "pairs": plan.rounds, "shapes": compared(slices), "books": books}


@asynccontextmanager
async def _servers(bench: Bench, trees: Trees, sides: Iterable[str]) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as running:
        yield {
            side: await running.enter_async_context(
                giftpay(
                    f"pairs-{side}", dsn=named(bench.dsn, side), logs=bench.out, tree=trees[side]
                )
            )
            for side in sides
        }


def _contenders(bench: Bench, servers: Servers) -> Contenders:
    shapes: Contenders = {UNARY: {}, BATCH: {}}
    for side, server in servers.items():
        shapes[UNARY][side] = _whole(bench, server, bench.called(server, side, 64))
        shapes[BATCH][side] = _whole(bench, server, batch(bench, server, side))
    return shapes


async def _contest(
    contenders: Contenders, pairs: int, slice_s: float, slices: dict[str, Slices]
) -> None:
    for settle in contenders[BATCH].values():
        await settle(SETTLE_S)
    for _ in range(pairs):
        for shape, sides in contenders.items():
            for side in order(len(slices[shape][BASE])):
                slices[shape][side].append(await sides[side](slice_s))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _whole(bench: Bench, server: Server, contender: Contender) -> Contender:
    """The same contender with the CPU of all its gifts, so that no batch is cut by the slice."""
    pids = {"server": server.pids, "postgres": (bench.postgres,)}

    async def run(seconds: float) -> Sample:
        before = cpu_by_part(pids)
        sample = await contender(seconds)
        after = cpu_by_part(pids)
        if not sample.gifts:
            raise RuntimeError(f"{server.name} took no gifts: see {bench.out / server.name}.log")
        share = sample.gifts / sample.acknowledged
        return replace(sample, cpu_s={part: (after[part] - before[part]) * share for part in pids})

    return run


async def _audited(bench: Bench, side: str, tree: Tree) -> dict[str, Any]:
    gifts, faults = json.loads(await tree.run(AUDIT, named(bench.dsn, side)))
    return {"gifts": gifts, "missing": max(0, bench.acknowledged[side] - gifts), "faults": faults}


if __name__ == "__main__":
    sys.exit(main())
