"""What one slice of load measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One slice: what was answered within it, and the CPU that it took."""

    seconds: float
    gifts: int  # accepted (for an echo: calls answered)
    refused: int = 0  # gifts turned away with RESOURCE_EXHAUSTED
    failed: int = 0  # gifts whose call ended in any other way
    acknowledged: int = 0  # accepted before, within and after the slice
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
