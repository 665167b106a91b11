"""The movements that each kind of transaction may make: registered by slices, asserted on posting.

In other ledgers these are posting rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from giftpay.v1 import SystemAccount, TransactionKind, Unit

from giftpay_server.protobuf import short_name


class Movement(NamedTuple):
    """A credit or a debit in one unit against one system account."""

    unit: Unit.ValueType
    system: SystemAccount.ValueType
    is_credit: bool
    what: str  # for docs/ledger.md
    shared: bool = False  # with other kinds: readers distinguish such entries by their kind

    def __str__(self) -> str:
        way = "credit" if self.is_credit else "debit"
        return f"{way} of {short_name(Unit, self.unit)} against {_name(self.system)}"


Registered = Collection[tuple[int, int, bool]]  # of one kind: unit, system, is_credit
Movements = Mapping[int, Registered]  # by kind


class MistakableKindsError(Exception):
    """Two registered kinds of transactions could be mistaken for one another."""


def credit(
    unit: Unit.ValueType, system: SystemAccount.ValueType, what: str, *, shared: bool = False
) -> Movement:
    """A movement from a system account to an owner."""
    return Movement(unit, system, True, what, shared)


def debit(
    unit: Unit.ValueType, system: SystemAccount.ValueType, what: str, *, shared: bool = False
) -> Movement:
    """A movement from an owner to a system account."""
    return Movement(unit, system, False, what, shared)


def merged(slices: Iterable[Mapping[TransactionKind.ValueType, Collection[Movement]]]) -> Movements:
    """The movements of all slices' kinds.

    Raises MistakableKindsError if two slices register the same kind, or two kinds register the same
    movement without both declaring it as shared.
    """
    movements: dict[int, Registered] = {}
    first: dict[tuple[int, int, bool], tuple[int, Movement]] = {}
    for kind, moves in ((kind, moves) for each in slices for kind, moves in each.items()):
        if kind in movements:
            raise MistakableKindsError(f"{_kind(kind)} is registered twice")
        for movement in moves:
            other, same = first.setdefault(movement[:3], (kind, movement))
            if other != kind and not (movement.shared and same.shared):
                raise MistakableKindsError(f"{_kind(other)} and {_kind(kind)} both: {movement}")
        movements[kind] = frozenset(movement[:3] for movement in moves)
    return movements


def _kind(kind: int) -> str:
    return short_name(TransactionKind, kind)


def _name(system: int) -> str:
    return short_name(SystemAccount, system)
