"""Calculates figures and ratios of slices: medians, spreads and verdicts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.samples import Sample

Measure = Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Target:
    """The value that a ratio must reach, or with `at_most` must not exceed."""

    value: float
    at_most: bool = False


TARGETS = {
    "unary_vs_echo": Target(0.5),
    "batch_vs_bulk": Target(0.5),
    "stream_vs_bulk": Target(0.3),
    "hot_vs_uniform": Target(0.95),
    "zipf_vs_uniform": Target(0.9),
    "growth_10m": Target(0.9),
    "overload_goodput": Target(0.9),
    "single_p50_vs_floor": Target(2.2, at_most=True),
    "server_cpu_vs_echo": Target(1.6, at_most=True),
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the ratios of all rounds, and the least and the greatest of them."""

    value: float
    spread: tuple[float, float]
    target: Target

    @classmethod
    def of(cls, rounds: Sequence[float], target: Target) -> Ratio:
        return cls(median(rounds), (min(rounds), max(rounds)), target)

    @property
    def met(self) -> bool:
        """False only if the whole spread is on the wrong side of the target."""
        low, high = self.spread
        return low <= self.target.value if self.target.at_most else high >= self.target.value

    def as_json(self) -> dict[str, Any]:
        return {
            "value": round(self.value, 3),
            "spread": [round(bound, 3) for bound in self.spread],
            "target": self.target.value,
            "met": self.met,
        }


def rate(sample: Sample) -> float:
    """Gifts a second."""
    return sample.rate


def divided(
    upper: Sequence[Sample], lower: Sequence[Sample], measure: Measure = rate
) -> list[float]:
    """Round by round, one contender's measure over another's."""
    return [measure(a) / measure(b) for a, b in zip(upper, lower, strict=True)]


def figure(samples: Sequence[Sample]) -> dict[str, Any]:
    """A contender's slices in one row of the table."""
    rates = [sample.rate for sample in samples]
    row = {
        "gifts_per_s": round(median(rates)),
        "spread": [round(min(rates)), round(max(rates))],
        "p50_ms": round(median(sample.p50_ms for sample in samples), 2),
        "p99_ms": round(median(sample.p99_ms for sample in samples), 2),
        "load_share_of_cpu": round(median(sample.load_share for sample in samples), 2),
        "refused_per_s": round(median(sample.refused / sample.seconds for sample in samples)),
        "failed": sum(sample.failed for sample in samples),
    }
    for part in ("server", "postgres"):
        row[f"{part}_cpu_us"] = round(median(sample.cpu_us(part) for sample in samples), 1)
    return row
