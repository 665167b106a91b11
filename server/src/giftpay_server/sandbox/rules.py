"""The life of a payment or payout at the provider. Pure: no I/O, no clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

DEDUPE_WINDOW = timedelta(days=30)
"""How long a payout's key is remembered, counted from its first use, as PayPal documents it."""


class Kind(StrEnum):
    """The two providers under one roof."""

    PAYMENT = "payment"
    PAYOUT = "payout"


class State(StrEnum):
    """Where a payment (PENDING, PAID, DECLINED, REFUNDED) or payout (RETURNED instead) stands."""

    PENDING = "PENDING"
    PAID = "PAID"
    DECLINED = "DECLINED"
    REFUNDED = "REFUNDED"
    RETURNED = "RETURNED"


UNDONE = {Kind.PAYMENT: State.REFUNDED, Kind.PAYOUT: State.RETURNED}
# A payout that nobody has claimed yet is PENDING here, and comes back like one that was paid.
UNDOABLE = {
    Kind.PAYMENT: frozenset({State.PAID}),
    Kind.PAYOUT: frozenset({State.PENDING, State.PAID}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks for. `id` is a payment's reference or a payout's key."""

    kind: Kind
    id: str
    destination: str | None = None  # of a payout
    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The state that a record takes at a look-up to come.

    That is the first look-up later than `after` the record's making, once `lookups` of them have
    still seen the old state.
    """

    state: State
    reason: str | None = None
    lookups: int = 0
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a record begins, and what becomes of it."""

    state: State = State.PAID
    reason: str | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A payment or payout as the provider keeps it; `reason` says why it was declined."""

    order: Order
    state: State
    reason: str | None
    turn: Turn | None
    submits: int  # how often it was asked for, the first time included
    create_time: datetime


def opened(order: Order, outcome: Outcome, *, now: datetime) -> Record:
    """The record of an order that was not seen before."""
    return Record(
        order=order,
        state=outcome.state,
        reason=outcome.reason,
        turn=outcome.turn,
        submits=1,
        create_time=now,
    )


def deduplicates(record: Record, *, now: datetime, window: timedelta) -> bool:
    """Whether the record's id still stands for it: a reference for ever, a key for `window`."""
    return record.order.kind is Kind.PAYMENT or now < record.create_time + window


def differing_field(first: Order, again: Order) -> str | None:
    """The field in which an order under a known id differs from the first; None if in none."""
    for name in ("destination", "currency", "minor_units"):
        if getattr(first, name) != getattr(again, name):
            return name
    return None


def submitted_again(record: Record) -> Record:
    """The record after one more request for what it already is."""
    return replace(record, submits=record.submits + 1)


def looked_up(record: Record, *, now: datetime) -> Record:
    """The record as this look-up finds it, and as the next one will start from."""
    turn = record.turn
    if turn is None or now < record.create_time + turn.after:
        return record
    if turn.lookups > 0:
        return replace(record, turn=replace(turn, lookups=turn.lookups - 1))
    return replace(record, state=turn.state, reason=turn.reason, turn=None)


def undone(record: Record) -> Record | None:
    """The record after its money went back; None where there is no money to go back."""
    kind = record.order.kind
    if record.state is UNDONE[kind]:
        return record
    if record.state not in UNDOABLE[kind]:
        return None
    return replace(record, state=UNDONE[kind], turn=None)
