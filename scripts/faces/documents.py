"""The tables of the documents."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.faces.contract import PREFIX, Contract, Reason

REASONS = re.compile(r"(<!-- generated: reasons -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = """\
| reason (`ERROR_REASON_...`) | status | pinned | in `giftpay` | figures |
|---|---|---|---|---|
"""


def write_documents(contract: Contract, into: Path) -> None:
    """Write docs/wire.md with the table of reasons between its marks."""
    table = "\n" + HEAD + "".join(map(_row, contract.reasons)) + "\n"
    text, found = REASONS.subn(rf"\1{table}\2", Path("docs/wire.md").read_text())
    if not found:
        raise SystemExit("docs/wire.md has lost the marks of the table of reasons.")
    (into / "docs").mkdir()
    (into / "docs/wire.md").write_text(text)


def _row(reason: Reason) -> str:
    short, pinned = reason.name.removeprefix(PREFIX), "yes" if reason.pinned else "no"
    exception = reason.exception if reason.answered else "OutcomeUnknown"
    figures = ", ".join(f"`{name}`" for name in reason.figures)
    cells = [f"`{short}`", reason.status, pinned, f"`{exception}`", figures]
    return f"| {' | '.join(cells)} |".replace("  |", " |") + "\n"
