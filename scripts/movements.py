"""Writes docs/ledger.md, with the table of movements that slices register, into a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from giftpay.v1 import SystemAccount, TransactionKind, Unit
from giftpay_server.ledger.movements import Movement
from giftpay_server.protobuf import short_name
from giftpay_server.slices import SLICES

from scripts.tables import write_table

HEAD = ("kind", "entry", "what", "against")
MINUS = "\N{MINUS SIGN}"


def _row(kind: int, movement: Movement) -> tuple[str, ...]:
    entry = f"{'+' if movement.is_credit else MINUS} {short_name(Unit, movement.unit)}"
    system = short_name(SystemAccount, movement.system)
    return short_name(TransactionKind, kind), entry, movement.what, f"`{system}`"


if __name__ == "__main__":
    registered = sorted(item for each in SLICES for item in each.movements.items())
    rows = [_row(kind, movement) for kind, movements in registered for movement in movements]
    write_table("docs/ledger.md", "movements", [HEAD, *rows], Path(sys.argv[1]))
