"""Writes the table of reasons in docs/wire.md."""

from __future__ import annotations

from pathlib import Path

from scripts.codegen.contract import PREFIX, Contract, Reason
from scripts.tables import write_table

HEAD = ("reason (`ERROR_REASON_...`)", "status", "pinned", "in `giftpay`", "figures")


def write_documents(contract: Contract, into: Path) -> None:
    """Write docs/wire.md with its table of reasons."""
    write_table("docs/wire.md", "reasons", [HEAD, *map(_row, contract.reasons)], into)


def _row(reason: Reason) -> tuple[str, ...]:
    short, pinned = reason.name.removeprefix(PREFIX), "yes" if reason.pinned else "no"
    exception = reason.exception if reason.answered else "OutcomeUnknown"
    figures = ", ".join(f"`{name}`" for name in reason.figures)
    return f"`{short}`", reason.status, pinned, f"`{exception}`", figures
