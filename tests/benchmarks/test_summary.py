"""From slices to verdicts, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.report import results, table, write_json
from benchmarks.samples import RESOURCE_EXHAUSTED, Count, Sample, percentile_ms
from benchmarks.summary import TARGETS, Ratio, Target, divided, figure

NAMED = {
    "unary_vs_echo",
    "batch_vs_bulk",
    "stream_vs_bulk",
    "hot_vs_uniform",
    "zipf_vs_uniform",
    "growth_10m",
    "overload_goodput",
    "single_p50_vs_floor",
    "server_cpu_vs_echo",
}


def slices(*rates: float, seconds: float = 2.0, server_s: float = 1.0) -> list[Sample]:
    cpu_s = {"server": server_s, "postgres": 0.5, "load": 0.5}
    return [Sample(seconds=seconds, gifts=round(r * seconds), cpu_s=cpu_s) for r in rates]


def test_a_ratio_is_the_median_of_its_rounds_with_the_least_and_the_greatest() -> None:
    rounds = divided(slices(60, 80, 50, 90, 70), slices(100, 100, 100, 100, 100))
    ratio = Ratio.of(rounds, Target(0.5))
    assert ratio.value == pytest.approx(0.7)
    assert ratio.spread == pytest.approx((0.5, 0.9))


def test_rounds_are_divided_pair_by_pair() -> None:
    assert divided(slices(10, 100), slices(20, 400)) == pytest.approx([0.5, 0.25])


@pytest.mark.parametrize(
    ("rounds", "target", "met"),
    [
        ([0.3, 0.4, 0.49], Target(0.5), False),
        ([0.3, 0.4, 0.5], Target(0.5), True),
        ([2.3, 2.4, 2.5], Target(2.2, at_most=True), False),
        ([2.2, 2.4, 2.5], Target(2.2, at_most=True), True),
    ],
)
def test_a_target_is_missed_only_if_the_whole_spread_is_beyond_it(
    rounds: list[float], target: Target, met: bool
) -> None:
    assert Ratio.of(rounds, target).met is met


def test_cpu_is_reported_for_each_gift_of_each_part() -> None:
    row = figure(slices(1_000, 1_000, 1_000))
    assert row["server_cpu_us"] == 500
    assert row["postgres_cpu_us"] == 250
    assert row["load_share_of_cpu"] == 0.25


def test_percentiles_are_those_of_the_times_and_zero_without_any() -> None:
    times = [number / 1_000 for number in range(100)]
    assert percentile_ms(times, 50) == pytest.approx(50)
    assert percentile_ms(times, 99) == pytest.approx(99)
    assert percentile_ms([], 99) == 0


def test_a_slice_counts_from_its_first_answer_to_its_last() -> None:
    count = Count(gifts=3_000, refused=500, first=10.0, last=12.0)
    sample = count.sample(window_s=2.5, cpu_share={"server": 0.5}, acknowledged=9_000)
    assert sample.rate == 1_500
    assert sample.cpu_s["server"] == 1.0
    assert sample.refused == 400


def test_the_first_answer_only_starts_the_clock() -> None:
    count = Count()
    count.accepted(1_000)
    count.accepted(1_000)
    assert count.gifts == 1_000
    assert count.last > count.first > 0


def test_refused_and_failed_gifts_are_counted_separately() -> None:
    count = Count()
    count.not_accepted(7, RESOURCE_EXHAUSTED)
    count.not_accepted(5, 14)
    assert (count.refused, count.failed) == (7, 5)


def test_results_have_the_documented_form(tmp_path: Path) -> None:
    ratios = {name: Ratio.of([0.6, 0.7, 0.8], target) for name, target in TARGETS.items()}
    figures = {"unary, 64 callers": {"echo": figure(slices(10, 20, 30))}, "deadlocks": 0}
    write_json(tmp_path / "results.json", results({"cores": 2}, figures, ratios))
    found = json.loads((tmp_path / "results.json").read_text())
    assert list(found) == ["conditions", "figures", "ratios"]
    assert set(found["ratios"]) == NAMED
    for ratio in found["ratios"].values():
        assert set(ratio) == {"value", "spread", "target", "met"}
    text = table(found)
    assert all(name in text for name in NAMED)
    assert "unary, 64 callers" in text
