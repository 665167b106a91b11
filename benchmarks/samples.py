"""The measurements of one slice of load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

RESOURCE_EXHAUSTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One slice: the answers in it, and its CPU."""

    seconds: float
    gifts: int  # accepted (for an echo: calls answered)
    others: int = 0  # other accepted commands
    refused: int = 0  # gifts refused with RESOURCE_EXHAUSTED
    failed: int = 0  # gifts whose call ended in any other way
    acknowledged: int = 0  # of both, accepted before, within and after the slice
    p50_ms: float = 0.0  # of accepted calls
    p99_ms: float = 0.0
    cpu_s: Mapping[str, float] = field(default_factory=dict)  # by part: server, postgres, load

    @property
    def rate(self) -> float:
        """Gifts accepted a second."""
        return self.gifts / self.seconds

    def cpu_us(self, part: str) -> float:
        """Microseconds of CPU that a part took for each gift accepted."""
        return self.cpu_s.get(part, 0.0) * 1e6 / max(self.gifts, 1)

    @property
    def load_share(self) -> float:
        """The part of the CPU in use that went into generating load."""
        return self.cpu_s.get("load", 0.0) / max(sum(self.cpu_s.values()), 1e-9)


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    """A percentile of sorted times; 0 where there are none."""
    if not seconds:
        return 0.0
    return seconds[min(len(seconds) - 1, int(len(seconds) * percent / 100))] * 1e3


@dataclass(slots=True)
class Count:
    """The answers of a slice so far, timed from the first answer to the last.

    Answers come in lumps of up to 1,000 gifts: a window cut elsewhere would count one too many or
    too few.
    """

    gifts: int = 0
    others: int = 0
    refused: int = 0
    failed: int = 0
    times: list[float] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0

    def accepted(self, gifts: int) -> None:
        """Gifts that were answered just now; the first of all only start the clock."""
        self.last = perf_counter()
        if self.first:
            self.gifts += gifts
        else:
            self.first = self.last

    def accepted_beside(self) -> None:
        """One other command that was answered while the clock ran."""
        if self.first:
            self.others += 1

    def not_accepted(self, gifts: int, status: int) -> None:
        """Gifts whose call ended in another gRPC status than OK."""
        if status == RESOURCE_EXHAUSTED:
            self.refused += gifts
        elif status != 0:
            self.failed += gifts

    def sample(
        self, *, window_s: float, cpu_share: Mapping[str, float], acknowledged: int
    ) -> Sample:
        """The slice as a whole; `cpu_share` is what each part took of a core in the window."""
        seconds = self.last - self.first or window_s
        times = sorted(self.times)
        return Sample(
            seconds=seconds,
            gifts=self.gifts,
            others=self.others,
            refused=round(self.refused * seconds / window_s),
            failed=self.failed,
            acknowledged=acknowledged,
            p50_ms=percentile_ms(times, 50),
            p99_ms=percentile_ms(times, 99),
            cpu_s={part: share * seconds for part, share in cpu_share.items()},
        )
