"""Writes the results as a table and as results.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import Ratio

COLUMNS = (
    ("gifts/s", "gifts_per_s", ",.0f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("server us", "server_cpu_us", ".0f"),
    ("postgres us", "postgres_cpu_us", ".0f"),
    ("load", "load_share_of_cpu", ".0%"),
    ("refused/s", "refused_per_s", ",.0f"),
    ("failed", "failed", ",.0f"),
)
NAME_WIDTH, COLUMN_WIDTH = 44, 12


def results(
    conditions: Mapping[str, Any], figures: Mapping[str, Any], ratios: Mapping[str, Ratio]
) -> dict[str, Any]:
    """The contents of results.json."""
    by_name = {name: ratio.as_json() for name, ratio in ratios.items()}
    return {"conditions": dict(conditions), "figures": dict(figures), "ratios": by_name}


def write_json(path: Path, found: Mapping[str, Any]) -> None:
    """Writes results.json."""
    path.write_text(json.dumps(found, indent=2) + "\n")


def table(found: Mapping[str, Any]) -> str:
    """Everything, line by line."""
    return "\n".join([*_conditions(found), *_figures(found), *_ratios(found)])


def _conditions(found: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name}: {value}" for name, value in found["conditions"].items())


def _figures(found: Mapping[str, Any]) -> Iterator[str]:
    for title, rows in found["figures"].items():
        if title == "further ratios":
            continue
        yield ""
        if isinstance(rows, dict) and all(_is_contender(row) for row in rows.values()):
            yield _line(title, [heading for heading, _, _ in COLUMNS])
            for name, row in rows.items():
                yield _line(f"  {name}", [format(row[key], form) for _, key, form in COLUMNS])
        else:
            yield f"{title}: {json.dumps(rows)}"


def _ratios(found: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield _line("ratio", ["median", "least", "greatest", "target", "met"])
    for name, ratio in (found["ratios"] | found["figures"].get("further ratios", {})).items():
        numbers = [ratio["value"], *ratio["spread"], ratio["target"]]
        verdict = "yes" if ratio["met"] else "NO"
        yield _line(name, [*(f"{number:.2f}" for number in numbers), verdict])


def _is_contender(row: Any) -> bool:
    return isinstance(row, dict) and "gifts_per_s" in row


def _line(name: str, cells: list[str]) -> str:
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells)
