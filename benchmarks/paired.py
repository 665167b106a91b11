"""Ratios of paired slices: one tree's measures divided by the other's. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.samples import Sample
from benchmarks.summary import Measure, rate

BASE, HEAD = "base", "head"
CONFIDENCE = 0.95

MEASURES: Mapping[str, Measure] = {
    "server CPU us a gift": lambda sample: sample.cpu_us("server"),
    "Postgres CPU us a gift": lambda sample: sample.cpu_us("postgres"),
    "both CPU us a gift": lambda sample: sample.cpu_us("server") + sample.cpu_us("postgres"),
    "gifts a second": rate,
}

Sides = Mapping[str, Sequence[Sample]]  # the slices of BASE and of HEAD, pair by pair


def comparison(sides: Sides, measure: Measure) -> dict[str, Any]:
    """One measure of both sides, and the ratio of head to base."""
    base, head = ([round(measure(sample), 2) for sample in sides[side]] for side in (BASE, HEAD))
    ratios = sorted(above / below for above, below in zip(head, base, strict=True))
    skipped = outside(len(ratios))
    return {
        "base": median(base),
        "head": median(head),
        "ratio": median(ratios),
        "within": None if skipped is None else [ratios[skipped], ratios[-1 - skipped]],
        "spread": [ratios[0], ratios[-1]],
        "slices": {BASE: base, HEAD: head},
    }


def order(number: int) -> tuple[str, str]:
    """The order in a pair: A B B A A B ..., so that a steady drift cancels."""
    return (HEAD, BASE) if number % 2 else (BASE, HEAD)


def outside(count: int) -> int | None:
    """The number of sorted ratios at each end outside the confidence interval of the median.

    The sign test: each ratio is above the true median with probability 1/2. None
    if there are too few ratios for an interval.
    """
    tail, skipped = 0.0, None
    for number in range(count):
        tail += math.comb(count, number) * 0.5**count
        if tail > (1 - CONFIDENCE) / 2:
            break
        skipped = number
    return skipped


def compared(slices: Mapping[str, Sides]) -> dict[str, dict[str, Any]]:
    """The measures of each shape, and the gifts that were refused or failed."""
    return {
        shape: {
            **{name: comparison(sides, measure) for name, measure in MEASURES.items()},
            "refused": {side: sum(s.refused for s in samples) for side, samples in sides.items()},
            "failed": {side: sum(s.failed for s in samples) for side, samples in sides.items()},
        }
        for shape, sides in slices.items()
    }


def table(found: Mapping[str, Any]) -> str:
    """The results as a table."""
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"base {found['base']}, head {found['head']}: {found['pairs']} pairs of slices"
    for shape, measures in found["shapes"].items():
        yield ""
        heads = ("base", "head", "head/base", f"{CONFIDENCE:.0%} within", "least to greatest")
        yield _row(shape, heads)
        for name in MEASURES:
            row = measures[name]
            cells = (f"{row['base']:,.1f}", f"{row['head']:,.1f}", f"{row['ratio']:.3f}")
            yield _row(f"  {name}", (*cells, _range(row["within"]), _range(row["spread"])))
        for name in ("refused", "failed"):
            if any(measures[name].values()):
                yield _row(f"  gifts {name}", [f"{measures[name][s]:,}" for s in (BASE, HEAD)])
    yield ""
    for side, books in found["books"].items():
        state = "; ".join(books["faults"]) or "balance"
        yield f"books of {side}: {books['gifts']:,} gifts, {books['missing']} missing; {state}"


def _row(name: str, cells: Sequence[str]) -> str:
    widths = (12, 12, 12, 18, 20)
    return f"{name:<34}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=False))


def _range(bounds: Sequence[float] | None) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "too few pairs"
