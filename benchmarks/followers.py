"""`python -m benchmarks.followers --base REV`: a caller alone and beside many readers.

The caller sends 100 gifts a second. It is timed alone and beside each crowd, interleaved, in this
checkout and another commit; each has its own server and database on one Postgres.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import giftpay as client
import uvloop
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    BatchSendGiftsRequest,
    GetWalletRequest,
    ListEntriesRequest,
    SendGiftRequest,
    WatchEntriesRequest,
)

from benchmarks.bench import QUICK, Bench, scratch_folder, started
from benchmarks.databases import TEMPLATE, execute, named
from benchmarks.gifts import GIFT_ID, Spread, creator, viewer
from benchmarks.load import DRAIN_S, Load, run_load
from benchmarks.meters import cpu_s, memory_mb
from benchmarks.pairs import POPULATE
from benchmarks.readers import Follow, Readers, Received
from benchmarks.samples import Sample, percentile_ms
from benchmarks.servers import Server, giftpay
from benchmarks.trees import Tree, unpacked, working_tree

RATE = 100
WARM_UP_S = 1.0
PAST = 20_000  # entries of LONG
HOT, LONG = creator(0), creator(1)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Readers beside the caller."""

    name: str
    begin: Callable[[Readers, Server], Awaitable[None]]
    spread: Spread = Spread.UNIFORM
    timed: bool = False


async def _idle_of_one(readers: Readers, server: Server) -> None:
    request = WatchEntriesRequest(owner_id=creator(2), unit=UNIT_COIN)
    await readers.follow(server.addresses[0], [Follow(request)] * 2_000)


async def _idle_of_many(readers: Readers, server: Server) -> None:
    requests = [WatchEntriesRequest(owner_id=creator(n), unit=UNIT_COIN) for n in range(2_000)]
    await readers.follow(server.addresses[0], [Follow(request) for request in requests])


async def _live(readers: Readers, server: Server) -> None:
    async with client.connect(server.addresses[0]) as caller:
        wallet = (await caller.wallets.GetWallet(GetWalletRequest(owner_id=HOT))).wallet
    request = WatchEntriesRequest(
        owner_id=HOT, unit=UNIT_DIAMOND, after_seq=wallet.diamonds.last_seq
    )
    await readers.follow(server.addresses[0], [Follow(request)] * 500)


async def _from_the_beginning(readers: Readers, server: Server) -> None:
    request = WatchEntriesRequest(owner_id=LONG, unit=UNIT_DIAMOND)
    await readers.follow(server.addresses[0], [Follow(request, until=PAST)] * 200)


async def _pages(readers: Readers, server: Server) -> None:
    request = ListEntriesRequest(owner_id=LONG, unit=UNIT_DIAMOND, page_size=1_000)
    await readers.list(server.addresses[0], request, callers=40)


CROWDS = (
    Crowd("2,000 idle followers of one account", _idle_of_one),
    Crowd("2,000 idle followers of 2,000 accounts", _idle_of_many),
    Crowd("500 followers of the account of all gifts", _live, Spread.HOT, timed=True),
    Crowd("200 followers from the beginning", _from_the_beginning),
    Crowd("40 readers of pages of 1,000", _pages),
)


@dataclass(slots=True)
class Run:
    """One crowd on one side, over all rounds."""

    alone: list[Sample]
    beside: list[Sample]
    received: list[Received]
    cpu: list[float]
    memory: list[float]


async def _measure(
    bench: Bench, crowds: list[Crowd], servers: dict[str, Server], rounds: int, seconds: float
) -> dict[tuple[str, str], Run]:
    runs: dict[tuple[str, str], Run] = defaultdict(lambda: Run([], [], [], [], []))
    for crowd in crowds:
        for _ in range(rounds):
            for side, server in servers.items():
                run = runs[crowd.name, side]
                run.alone.append(await _send(bench, server, crowd.spread, seconds))
                await _beside(bench, crowd, server, run, seconds)
                print(_line(crowd.name, side, run), flush=True)
    return runs


async def _beside(bench: Bench, crowd: Crowd, server: Server, run: Run, seconds: float) -> None:
    readers = Readers(timed=crowd.timed)
    await crowd.begin(readers, server)
    await asyncio.sleep(WARM_UP_S)
    readers.reset()
    before = cpu_s(server.pids[0])
    run.beside.append(await _send(bench, server, crowd.spread, seconds))
    received = readers.reset()
    run.cpu.append((cpu_s(server.pids[0]) - before) / received.seconds)
    run.memory.append(memory_mb(server.pids))
    run.received.append(received)
    readers.close()
    await asyncio.sleep(WARM_UP_S)


async def _send(bench: Bench, server: Server, spread: Spread, seconds: float) -> Sample:
    load = Load(addresses=server.addresses, rate=RATE, spread=spread)
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(bench.executor, run_load, load, 0.2, seconds)
    except TimeoutError:  # gifts were not answered in DRAIN_S
        late_ms = DRAIN_S * 1e3
        return Sample(seconds=seconds, gifts=0, p50_ms=late_ms, p99_ms=late_ms)


def _line(name: str, side: str, run: Run) -> str:
    alone, beside = run.alone[-1], run.beside[-1]
    received = run.received[-1]
    lags = sorted(received.lags)
    return (
        f"{name} | {side} | alone p50 {alone.p50_ms:.1f} p99 {alone.p99_ms:.1f} ms"
        f" | beside p50 {beside.p50_ms:.1f} p99 {beside.p99_ms:.1f} ms, {beside.gifts} gifts,"
        f" {beside.failed} failed | x{beside.p99_ms / max(alone.p99_ms, 1e-3):.1f} |"
        f" {received.entries / received.seconds:,.0f} entries/s,"
        f" {received.messages / received.seconds:,.0f} messages/s,"
        f" {received.complete / received.seconds:.1f} complete/s, {received.ended} ended,"
        f" lag p50 {percentile_ms(lags, 50):.0f} p99 {percentile_ms(lags, 99):.0f} ms"
        f" | CPU {run.cpu[-1]:.2f}, {run.memory[-1]:.0f} MB"
    )


async def _prepare(server: Server) -> None:
    """Gives LONG its history."""
    async with client.connect(server.addresses[0]) as caller:
        for start in range(0, PAST, 1_000):
            gifts = [
                SendGiftRequest(
                    idempotency_key=client.new_key(),
                    sender_id=viewer(number),
                    recipient_id=LONG,
                    gift_id=GIFT_ID,
                    message="Bravo!",
                )
                for number in range(start % 10_000, start % 10_000 + 1_000)
            ]
            await caller.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))


@asynccontextmanager
async def _serving(bench: Bench, trees: dict[str, Tree]) -> AsyncIterator[dict[str, Server]]:
    async with AsyncExitStack() as running:
        servers = {}
        for side, tree in trees.items():
            await tree.run(POPULATE, bench.dsn)
            await execute(bench.dsn, f"ALTER DATABASE {TEMPLATE} RENAME TO {side}")
            at = giftpay(f"followers-{side}", dsn=named(bench.dsn, side), logs=bench.out, tree=tree)
            servers[side] = await running.enter_async_context(at)
            await _prepare(servers[side])
        yield servers


async def _run(arguments: argparse.Namespace, folder: Path) -> None:
    trees = {"head": working_tree()}
    if arguments.base:
        trees = {"base": unpacked(arguments.base, folder), **trees}
    crowds = [crowd for crowd in CROWDS if arguments.only in crowd.name]
    async with started(QUICK, folder) as bench, _serving(bench, trees) as servers:
        runs = await _measure(bench, crowds, servers, arguments.rounds, arguments.seconds)
    for (name, side), run in runs.items():
        ratio = median(b.p99_ms / a.p99_ms for a, b in zip(run.alone, run.beside, strict=True))
        print(f"{name} | {side} | p99 beside to alone, median of {len(run.alone)}: {ratio:.2f}")


def main() -> None:
    """Prints the results as they are measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.followers", description=__doc__)
    parser.add_argument("--base", metavar="REV", help="the commit to compare with; by default none")
    parser.add_argument("--only", default="", help="crowds whose name contains this")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    with scratch_folder() as folder:
        uvloop.run(_run(arguments, folder))


if __name__ == "__main__":
    main()
