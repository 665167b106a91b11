"""The parts of all scenarios: one Postgres, one load process, and interleaved slices."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from giftpay_server.postgres.embedded import embedded_postgres

from benchmarks.load import Load, run_load
from benchmarks.meters import postmaster_pid
from benchmarks.pgbench import run_pgbench
from benchmarks.samples import Sample
from benchmarks.servers import Server
from benchmarks.summary import TARGETS, Ratio, Target, figure

Contender = Callable[[float], Awaitable[Sample]]  # for so many seconds
Run = Callable[[Load, float, float], Sample]  # what run_load does
Slices = dict[str, list[Sample]]

OUT = Path("benchmarks/out")
SHAPES = {1: (1, 1), 16: (2, 8), 64: (4, 16), 256: (8, 32), 1024: (16, 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The durations and amounts of a run."""

    quick: bool
    rounds: int
    warm_up_s: float
    slice_s: float
    callers: Sequence[int]
    growth_gifts: int


FULL = Plan(
    quick=False,
    rounds=5,
    warm_up_s=0.5,
    slice_s=5,
    callers=(1, 16, 64, 256),
    growth_gifts=10_000_000,
)
QUICK = Plan(quick=True, rounds=3, warm_up_s=0.2, slice_s=0.5, callers=(1, 64), growth_gifts=50_000)


@dataclass(slots=True)
class Bench:
    """One run and its results so far."""

    plan: Plan
    dsn: str
    postgres: int  # the postmaster's process
    state: Path
    out: Path
    executor: Executor
    figures: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    acknowledged: Counter[str] = field(default_factory=Counter)  # by database

    async def contest(
        self, title: str, contenders: Mapping[str, Contender], *, rounds: int | None = None
    ) -> Slices:
        """Takes interleaved slices A B A B ..., so that noise affects all contenders."""
        slices: Slices = {name: [] for name in contenders}
        for number in range(rounds or self.plan.rounds):
            for name, run in contenders.items():
                sample = await run(self.plan.slice_s)
                slices[name].append(sample)
                self._say(f"{title} {number + 1}: {name} {sample.rate:,.0f}/s")
        self.figures[title] = {name: figure(samples) for name, samples in slices.items()}
        return slices

    def ratio(self, name: str, rounds: Sequence[float]) -> None:
        """Records one of the ratios of results.json."""
        self.ratios[name] = Ratio.of(rounds, TARGETS[name])
        self._say(f"{name}: {self.ratios[name].as_json()}")

    def further(self, name: str, rounds: Sequence[float], target: Target) -> None:
        """Records another ratio, among the figures."""
        ratio = Ratio.of(rounds, target).as_json()
        self.figures.setdefault("further ratios", {})[name] = ratio
        self._say(f"{name}: {ratio}")

    def served(
        self, server: Server, database: str = "", *, run_load: Run = run_load, **shape: Any
    ) -> Contender:
        """Load on a server; acknowledged commands must be found in `database`."""
        pids = {"server": server.pids, "postgres": (self.postgres,)}
        load = Load(addresses=server.addresses, pids=pids, **shape)

        async def run(seconds: float) -> Sample:
            loop = asyncio.get_running_loop()
            sample = await loop.run_in_executor(
                self.executor, run_load, load, self.plan.warm_up_s, seconds
            )
            self.acknowledged[database] += sample.acknowledged
            return sample

        return run

    def called(self, server: Server, database: str, callers: int, **shape: Any) -> Contender:
        """Unary load by this number of callers."""
        connections, each = SHAPES[callers]
        return self.served(server, database, connections=connections, callers=each, **shape)

    def queried(self, dsn: str, script: str, *, callers: int, size: int = 1) -> Contender:
        """Load by pgbench."""

        async def run(seconds: float) -> Sample:
            return await run_pgbench(
                dsn, script, callers=callers, seconds=seconds, postgres=self.postgres, size=size
            )

        return run

    def _say(self, line: str) -> None:
        print(line, flush=True)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for the databases of one run, removed after it; and OUT, if it is not there."""
    OUT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="giftpay-bench-", dir=parent or "/var/tmp"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # Postgres runs as another user, which must be able to enter
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def started(plan: Plan, folder: Path) -> AsyncIterator[Bench]:
    """A run with its Postgres and its load process, both stopped after it."""
    state = folder / "state"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as executor:
        async with embedded_postgres(state) as dsn:
            yield Bench(
                plan=plan,
                dsn=dsn,
                postgres=postmaster_pid(state),
                state=state,
                out=OUT,
                executor=executor,
            )
