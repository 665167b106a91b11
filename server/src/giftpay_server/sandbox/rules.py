"""The life cycle of payments and payouts at the provider. Pure: no I/O, no clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

DEDUPE_WINDOW = timedelta(days=30)
"""The lifetime of a payout's idempotency key after its first use, as PayPal documents it."""


class Kind(StrEnum):
    """The two providers."""

    PAYMENT = "payment"
    PAYOUT = "payout"


class State(StrEnum):
    """The state of a payment (PENDING, PAID, DECLINED, REFUNDED) or payout (RETURNED instead)."""

    PENDING = "PENDING"
    PAID = "PAID"
    DECLINED = "DECLINED"
    REFUNDED = "REFUNDED"
    RETURNED = "RETURNED"


UNDONE = {Kind.PAYMENT: State.REFUNDED, Kind.PAYOUT: State.RETURNED}
# A payout that the payee has not claimed is PENDING, and can be returned like a paid one.
UNDOABLE = {
    Kind.PAYMENT: frozenset({State.PAID}),
    Kind.PAYOUT: frozenset({State.PENDING, State.PAID}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A requested payment or payout; `id` is its reference or its key."""

    kind: Kind
    id: str
    destination: str | None = None  # of a payout
    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A scheduled change of a record's state.

    It happens at the first look-up later than `after` since the record was made, once `lookups`
    look-ups have returned the old state.
    """

    state: State
    reason: str | None = None
    lookups: int = 0
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The first state of a record, and its scheduled change."""

    state: State = State.PAID
    reason: str | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A payment or payout that the provider has stored; `reason` is why it was declined."""

    order: Order
    state: State
    reason: str | None
    turn: Turn | None
    submits: int  # requests for it, including the first
    create_time: datetime


def opened(order: Order, lifecycle: Lifecycle, *, now: datetime) -> Record:
    """The record of a new order."""
    return Record(
        order=order,
        state=lifecycle.state,
        reason=lifecycle.reason,
        turn=lifecycle.turn,
        submits=1,
        create_time=now,
    )


def deduplicates(record: Record, *, now: datetime, window: timedelta) -> bool:
    """Whether the record's id is still known: a reference never expires, a key after `window`."""
    return record.order.kind is Kind.PAYMENT or now < record.create_time + window


def differing_field(first: Order, again: Order) -> str | None:
    """The first field in which two orders with the same id differ; None if they are equal."""
    for name in ("destination", "currency", "minor_units"):
        if getattr(first, name) != getattr(again, name):
            return name
    return None


def submitted_again(record: Record) -> Record:
    """The record after one more request for it."""
    return replace(record, submits=record.submits + 1)


def looked_up(record: Record, *, now: datetime) -> Record:
    """The record after a look-up, which may change its state."""
    turn = record.turn
    if turn is None or now < record.create_time + turn.after:
        return record
    if turn.lookups > 0:
        return replace(record, turn=replace(turn, lookups=turn.lookups - 1))
    return replace(record, state=turn.state, reason=turn.reason, turn=None)


def undone(record: Record) -> Record | None:
    """The record after a refund or return; None if its state does not allow one."""
    kind = record.order.kind
    if record.state is UNDONE[kind]:
        return record
    if record.state not in UNDOABLE[kind]:
        return None
    return replace(record, state=UNDONE[kind], turn=None)
