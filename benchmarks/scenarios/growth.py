"""Compares tables with millions of gifts with fresh ones."""

from __future__ import annotations

import time

import grpc.aio
from giftpay.v1 import ListEntriesRequest, Unit, WalletServiceStub

from benchmarks.bench import Bench
from benchmarks.databases import copy_population, execute, grow
from benchmarks.gifts import CREATORS, Spread, creator
from benchmarks.scenarios.calls import SATURATING
from benchmarks.scenarios.many import batch
from benchmarks.servers import Server, giftpay
from benchmarks.summary import divided

PAGES = 250


async def measure(bench: Bench) -> None:
    """The same load on both, each by a server of its own."""
    fresh = await copy_population(bench.dsn, "fresh")
    grown = await copy_population(bench.dsn, "grown")
    started = time.monotonic()
    await grow(grown, bench.plan.growth_gifts)
    bench.figures["growth, seeding"] = {
        "gifts": bench.plan.growth_gifts,
        "seconds": round(time.monotonic() - started),
    }
    async with (
        giftpay("giftpay-fresh", dsn=fresh, logs=bench.out) as on_fresh,
        giftpay("giftpay-grown", dsn=grown, logs=bench.out) as on_grown,
    ):
        await _compare(bench, {"fresh": on_fresh, "grown": on_grown})


async def _compare(bench: Bench, servers: dict[str, Server]) -> None:
    batches = {name: batch(bench, server, name) for name, server in servers.items()}
    await execute(bench.dsn, "CHECKPOINT")
    for warm_up in batches.values():  # what a checkpoint costs the pages of each, and cold caches
        await warm_up(bench.plan.slice_s)
    slices = await bench.contest("growth, batch of 1,000", batches)
    bench.ratio("growth_10m", divided(slices["grown"], slices["fresh"]))
    await batch(bench, servers["fresh"], "fresh", spread=Spread.HOT)(1)  # so that a page is full
    if not bench.plan.quick:
        unary = {n: bench.called(server, n, SATURATING) for n, server in servers.items()}
        await bench.contest(f"growth, unary, {SATURATING} callers", unary)
    everyone = [creator(number) for number in range(0, CREATORS, CREATORS // PAGES)]
    bench.figures["growth, statement page p50 ms"] = {
        "fresh": round(await _page_ms(servers["fresh"], everyone[:1] * PAGES), 2),
        "grown": round(await _page_ms(servers["grown"], everyone), 2),
    }


async def _page_ms(server: Server, owners: list[str]) -> float:
    """The median time of a first page of 50 entries."""
    times = []
    async with grpc.aio.insecure_channel(server.addresses[0]) as channel:
        wallets = WalletServiceStub(channel)
        for owner_id in owners:
            request = ListEntriesRequest(owner_id=owner_id, unit=Unit.UNIT_DIAMOND, page_size=50)
            started = time.perf_counter()
            await wallets.ListEntries(request)
            times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2] * 1e3
