"""Formats traced coins as rows, without their owner, which is that of the traced entry."""

from collections.abc import Callable, Mapping
from typing import Any

from giftpay.cli.fields import Cell, cells
from giftpay.v1 import CoinFate, CoinRoot


def _root(root: CoinRoot) -> dict[str, Cell]:
    found = cells(root)
    entry = str(root.lot.entry.seq)
    shown = {name: found[name] for name in ("price", "source")}
    return {"coins": root.coins, "kind": found["kind"], "entry": entry, **shown}


def _fate(fate: CoinFate) -> dict[str, Cell]:
    found = cells(fate)
    entry = str(fate.entry.seq) if fate.HasField("entry") else ""
    ends = {"credit": str(fate.lot_entry.seq), "transaction": fate.transaction_id}
    return {"coins": fate.coins, "state": found["state"], "entry": entry, **ends}


TRACED: Mapping[str, Callable[[Any], dict[str, Cell]]] = {
    CoinRoot.DESCRIPTOR.full_name: _root,
    CoinFate.DESCRIPTOR.full_name: _fate,
}
