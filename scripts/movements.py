"""Writes docs/ledger.md with the table of movements, as the slices register them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from giftpay.v1 import SystemAccount, TransactionKind, Unit
from giftpay_server.ledger.movements import Movement
from giftpay_server.protobuf import short_name
from giftpay_server.slices import SLICES

MOVEMENTS = re.compile(r"(<!-- generated: movements -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = """\
| kind | entry | what | against |
|---|---|---|---|
"""


def main(into: Path) -> None:
    """Write it below a folder that is laid out as the checkout."""
    table = "\n" + HEAD + "".join(_rows()) + "\n"
    text, found = MOVEMENTS.subn(rf"\1{table}\2", Path("docs/ledger.md").read_text())
    if not found:
        raise SystemExit("docs/ledger.md has lost the marks of the table of movements.")
    (into / "docs").mkdir(exist_ok=True)
    (into / "docs/ledger.md").write_text(text)


def _rows() -> list[str]:
    registered = [item for each in SLICES for item in each.movements.items()]
    return [
        _row(kind, movement) for kind, movements in sorted(registered) for movement in movements
    ]


def _row(kind: int, movement: Movement) -> str:
    sign, unit = "+" if movement.is_credit else "−", short_name(Unit, movement.unit)  # noqa: RUF001
    system = short_name(SystemAccount, movement.system)
    cells = [short_name(TransactionKind, kind), f"{sign} {unit}", movement.what, f"`{system}`"]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
