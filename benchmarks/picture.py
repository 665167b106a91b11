"""Draws latency against throughput, and the ratios against their targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

UNARY = re.compile(r"unary, (\d+) callers")


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the picture of results.json."""
    figure, (curves, bars) = pyplot.subplots(1, 2, figsize=(13, 5))
    _latency(curves, found["figures"])
    _ratios(bars, found["ratios"])
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _latency(axes: Axes, figures: Mapping[str, Any]) -> None:
    by_callers = {
        int(m[1]): rows for title, rows in figures.items() if (m := UNARY.fullmatch(title))
    }
    names = dict.fromkeys(name for rows in by_callers.values() for name in rows)
    for name in names:
        points = [rows[name] for rows in by_callers.values() if name in rows]
        rates, times = [p["gifts_per_s"] for p in points], [p["p99_ms"] for p in points]
        axes.plot(rates, times, marker="o", label=name)
    axes.set_title(f"One gift a call, {' / '.join(map(str, by_callers))} callers")
    axes.set_xlabel("gifts a second")
    axes.set_ylabel("p99, ms")
    axes.set_yscale("log")
    axes.legend(loc="lower right")


def _ratios(axes: Axes, ratios: Mapping[str, Any]) -> None:
    for row, ratio in enumerate(ratios.values()):
        low, high = ratio["spread"]
        color = "tab:green" if ratio["met"] else "tab:red"
        axes.barh(row, ratio["value"], color=color, alpha=0.6)
        axes.plot([low, high], [row, row], color="black")
        axes.plot([ratio["target"]] * 2, [row - 0.4, row + 0.4], color="black", linestyle=":")
    axes.set_yticks(range(len(ratios)), list(ratios))
    axes.set_xscale("log")
    axes.set_title("Ratios, their spread (line) and target (dots)")
