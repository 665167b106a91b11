"""`python -m benchmarks.hostile [NAME ...]`: an honest caller alone, and beside each attack.

The server, the attackers and the honest caller are a process each, on one machine: what an attack
costs its own process is part of what it costs the honest caller.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import uvloop

from benchmarks.bench import QUICK, Bench, scratch_folder, started
from benchmarks.databases import TEMPLATE, copy_population, execute, make_population, named
from benchmarks.hostile.attacks import ATTACKS, BEGIN_S, run_attack
from benchmarks.hostile.honest import Honest, Times
from benchmarks.hostile.wire import Tally
from benchmarks.meters import cpu_s, memory_mb
from benchmarks.servers import Server, giftpay
from benchmarks.trees import Tree, unpacked, working_tree

ROUNDS, SLICE_S, WARM_UP_S, REST_S = 3, 3.0, 2.0, 10.0
# The creator whose pages are read, of the viewers in turn: 2081 + 7919 is 0 modulo all creators.
HISTORY = "SELECT bulk_gifts(1, n, 2081) FROM generate_series(1, 1500) AS n"
HEAD = ("attack", "p50 alone", "beside", "p99 alone", "beside", "ratio", "failed")
MEMORY = ("RSS before", "after", "later", "server CPU", "sent", "closed", "ended as")


@dataclass(slots=True)
class Found:
    """What one attack did."""

    name: str
    alone: Times
    beside: Times
    tally: Tally
    memory_mb: list[float]
    cpu_share: float

    def row(self) -> list[str]:
        """One line of the table."""
        alone, beside = self.alone.p(99), self.beside.p(99)
        ended = " ".join(f"{status}:{count}" for status, count in sorted(self.tally.ended.items()))
        return [
            self.name,
            *(f"{times.p(50):.1f}" for times in (self.alone, self.beside)),
            *(f"{p99:.1f}" for p99 in (alone, beside)),
            f"{beside / alone if alone else 0:.1f}",
            f"{self.beside.failed}",
            *(f"{mb:.0f}" for mb in self.memory_mb),
            f"{self.cpu_share:.0%}",
            f"{self.tally.sent}",
            f"{self.tally.closed}",
            ended,
        ]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.hostile")
    parser.add_argument("names", nargs="*", default=list(ATTACKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=float, default=SLICE_S, help=f"default {SLICE_S}")
    parser.add_argument("--rev", help="the server of this commit; else of this checkout")
    parser.add_argument("--through", metavar="HOST:PORT", help="attack by way of this proxy")
    parser.add_argument("--listen", default="127.0.0.1:0", help="where the server serves")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(ATTACKS):
        parser.error(f"no attack named {unknown}; there are {', '.join(ATTACKS)}")
    uvloop.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> None:
    with scratch_folder() as folder:
        tree = unpacked(arguments.rev, folder) if arguments.rev else working_tree()
        async with started(QUICK, folder) as bench:
            await make_population(bench.dsn)
            await execute(named(bench.dsn, TEMPLATE), HISTORY, "VACUUM ANALYZE")
            print(*HEAD, *MEMORY, sep=" | ")
            for number, name in enumerate(arguments.names):
                dsn = await copy_population(bench.dsn, f"hostile_{number}")
                found = await _beside(bench, arguments, folder, (name, dsn, tree))
                print(*found.row(), sep=" | ", flush=True)


async def _beside(
    bench: Bench, arguments: argparse.Namespace, folder: Path, what: tuple[str, str, Tree]
) -> Found:
    name, dsn, tree = what
    options = ("--listen", arguments.listen)
    async with giftpay("giftpay", *options, logs=folder, dsn=dsn, tree=tree) as server:
        address = arguments.through or server.addresses[0]
        async with grpc.aio.insecure_channel(address) as channel:
            honest = Honest(channel)
            await honest.give(WARM_UP_S, Times())
            return await _rounds(bench, honest, server, (name, address, arguments))


async def _rounds(
    bench: Bench, honest: Honest, server: Server, what: tuple[str, str, argparse.Namespace]
) -> Found:
    name, address, arguments = what
    memory = [memory_mb(server.pids)]
    found = Found(name, Times(), Times(), Tally(), memory, 0.0)
    for _ in range(arguments.rounds):
        await honest.give(arguments.seconds, found.alone)
        lasts = BEGIN_S + arguments.seconds
        loop = asyncio.get_running_loop()
        attack = loop.run_in_executor(bench.executor, run_attack, name, address, lasts)
        await asyncio.sleep(BEGIN_S)
        before = cpu_s(server.pids[0])
        await honest.give(arguments.seconds, found.beside)
        found.cpu_share += (cpu_s(server.pids[0]) - before) / arguments.seconds / arguments.rounds
        _add(found.tally, await attack)
        highest = memory_mb(server.pids)
        await asyncio.sleep(REST_S)  # what the attack left behind is not part of being alone
    memory.append(highest)
    memory.append(memory_mb(server.pids))
    return found


def _add(tally: Tally, more: Tally) -> None:
    tally.sent += more.sent
    tally.closed += more.closed
    tally.ended += more.ended


if __name__ == "__main__":
    main()
