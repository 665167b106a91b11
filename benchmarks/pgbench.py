"""Measures SQL without a service, with the pgbench of the embedded Postgres."""

from __future__ import annotations

import asyncio
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from giftpay_server.postgres.binaries import find_binaries

from benchmarks.gifts import CREATORS, VIEWERS
from benchmarks.meters import cpu_s
from benchmarks.samples import Sample, percentile_ms

OWNERS = f"""
\\set viewer random(0, {VIEWERS - 1})
\\set creator random(0, {CREATORS - 1})
"""

RAW = f"""{OWNERS}
SELECT raw_gift(uuidv7(), 'v' || lpad((:viewer)::text, 9, '0'),
                'c' || lpad((:creator)::text, 9, '0'), %s);
"""
RAW_GIFT = RAW % "false"
RAW_GIFT_WITH_PLATFORM_ROWS = RAW % "true"

BULK_SIZE = 1_000
BULK = f"""{OWNERS}
SELECT bulk_gifts({BULK_SIZE}, :viewer, :creator);
"""

DONE = re.compile(r"number of transactions actually processed: (\d+)")
FAILED = re.compile(r"number of failed transactions: (\d+)")
RATE = re.compile(r"tps = ([\d.]+) \(without initial connection time\)")
REAPED_S = 0.2  # until Postgres has reaped pgbench's sessions and counted their CPU


async def run_pgbench(
    dsn: str, script: str, *, callers: int, seconds: float, postgres: int, size: int = 1
) -> Sample:
    """Runs a script that makes `size` gifts at once; `postgres` is the process to measure."""
    with _script_file(script) as file:
        before, load_before = cpu_s(postgres), _children_cpu_s()
        output = await _output(
            *("-n", "-M", "prepared", "-f", f"{file}", "-c", f"{callers}", "-j", "1"),
            *("-T", f"{max(1, round(seconds))}", "-l", f"--log-prefix={file}.log", dsn),
        )
        await asyncio.sleep(REAPED_S)
        used = {"postgres": cpu_s(postgres) - before, "load": _children_cpu_s() - load_before}
        times = sorted(_times(file.parent))
    done = int(_found(DONE, output))
    return Sample(
        seconds=done / float(_found(RATE, output)),
        gifts=done * size,
        failed=int(_found(FAILED, output)) * size,
        acknowledged=done * size,
        p50_ms=percentile_ms(times, 50),
        p99_ms=percentile_ms(times, 99),
        cpu_s=used,
    )


@contextmanager
def _script_file(script: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "gifts.sql")
        file.write_text(script)
        yield file


async def _output(*arguments: str) -> str:
    program = find_binaries(None, None).folder / "pgbench"
    process = await asyncio.create_subprocess_exec(
        f"{program}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"pgbench failed: {errors.decode()}")
    return output.decode()


def _found(pattern: re.Pattern[str], output: str) -> str:
    found = pattern.search(output)
    if found is None:
        raise RuntimeError(f"pgbench did not print {pattern.pattern}: {output}")
    return found[1]


def _times(folder: Path) -> Iterator[float]:
    """The times in pgbench's logs: the third column, in microseconds."""
    for log in folder.glob("*.log.*"):
        with log.open() as lines:
            yield from (int(line.split(" ", 3)[2]) / 1e6 for line in lines)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
