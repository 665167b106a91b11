"""CPU and memory of process trees."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far, those that have ended included."""
    root = psutil.Process(pid).cpu_times()
    ended: float = root.children_user + root.children_system
    return ended + sum(_own_cpu_s(process) for process in _tree(pid))


def cpu_by_part(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """CPU seconds so far of each part's process trees."""
    return {part: sum(map(cpu_s, of_part)) for part, of_part in pids.items()}


def memory_mb(pids: Sequence[int]) -> float:
    """Resident megabytes of processes and their children."""
    every = (process for pid in pids for process in _tree(pid))
    return float(sum(process.memory_info().rss for process in every) / 2**20)


def postmaster_pid(state: Path) -> int:
    """The process that is the root of an embedded Postgres."""
    return int((state / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


def _tree(pid: int) -> Iterator[psutil.Process]:
    root = psutil.Process(pid)
    yield root
    yield from root.children(recursive=True)


def _own_cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess, OSError):
        if sys.platform == "linux":
            # clock_getcpuclockid(3), which Python lacks: cpu_times() counts in steps of 10 ms,
            # and a short slice is spread over a dozen processes of Postgres.
            return time.clock_gettime(~process.pid << 3 | 2)
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
