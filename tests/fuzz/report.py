"""The report of a campaign: figures and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.samples import percentile_ms
from tests.fuzz.honest import Seen
from tests.fuzz.sending import Findings

GROWTH_MAX_MIB = 64  # that may stay beyond what a warm server holds
GROWTH_MAX_BYTES = 400  # for each input: a longer run legitimately caches more
SHOWN = 20  # findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One campaign."""

    aim: range
    seed: int
    took_s: float
    findings: Findings
    alone: Sequence[float]  # seconds of the honest client's calls, sorted
    beside: Sequence[float]
    honest: Seen
    warm_mib: float
    peak_mib: float
    rest_mib: float
    broken: str

    def faults(self) -> Iterator[str]:
        """The findings."""
        yield from self.findings.failed
        if self.rest_mib - self.warm_mib > self._growth_max_mib:
            yield f"memory stays: {self.warm_mib:.0f} MiB warm, {self.rest_mib:.0f} MiB at rest"
        if self.broken:
            yield f"the books are broken: {self.broken}"
        if self.honest.disagrees:
            yield f"the honest client's gifts and the books disagree: {self.honest.disagrees}"
        if unknown := self.honest.ends.get("OutcomeUnknown"):
            yield f"the honest client has {unknown} gifts without an answer"

    def __str__(self) -> str:
        statuses = "\n".join(f"  {n:>9,}  {name}" for name, n in self._statuses())
        return (
            f"{len(self.aim):,} inputs of seed {self.seed} in {self.took_s:.0f} s"
            f" ({len(self.aim) / self.took_s:,.0f} a second)\n{statuses}\n"
            f"honest client: {self._latency()}; ends: {dict(self.honest.ends)}\n"
            f"server: {self.warm_mib:.0f} MiB warm, at most {self.peak_mib:.0f},"
            f" {self.rest_mib:.0f} at rest\n"
        )

    def text(self) -> str:
        """The figures and the first findings."""
        faults = list(self.faults())
        shown = "\n".join(faults[:SHOWN])
        count = self.findings.found + len(faults) - len(self.findings.failed)
        return f"{self}{count} findings\n{shown}"

    @property
    def _growth_max_mib(self) -> float:
        return GROWTH_MAX_MIB + len(self.aim) * GROWTH_MAX_BYTES / (1 << 20)

    def _statuses(self) -> Iterator[tuple[str, int]]:
        yield from self.findings.statuses.most_common()

    def _latency(self) -> str:
        alone, beside = (
            [percentile_ms(each, p) for p in (50, 99)] for each in (self.alone, self.beside)
        )
        ratio = beside[1] / alone[1] if alone[1] else 0.0
        return (
            f"p50 {alone[0]:.1f} ms alone, {beside[0]:.1f} beside;"
            f" p99 {alone[1]:.1f} ms alone, {beside[1]:.1f} beside ({ratio:.1f} times)"
        )
