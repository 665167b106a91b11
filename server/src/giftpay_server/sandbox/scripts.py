"""Scripts that make calls fail, delay or change state; an action or magic name is a `Step`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from giftpay_server.sandbox.fields import Fields, Malformed
from giftpay_server.sandbox.rules import Kind, Lifecycle, State, Turn

DELAY_MS_MAX = 60_000
AFTER_MS_MAX = 90 * 24 * 60 * 60 * 1_000  # 90 days: past every dedupe window
LOOKUPS_MAX = 1_000_000
STEPS_MAX = 1_000  # of one script
LATE = timedelta(seconds=1)  # of the magic destination
DECLINE_REASON = "ACCOUNT_CLOSED"


class CallKind(StrEnum):
    """The kinds of calls that a script can match: the POST that pays, or the GET."""

    SUBMIT = "submit"
    FIND = "find"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The behaviour of one call; without a life cycle, the destination's or `pay` is used."""

    lifecycle: Lifecycle | None = None
    refuse_status: int | None = None  # if set, the response, and nothing is done
    arrive_late: timedelta = timedelta()
    arrivals: int = 1
    answer_late: timedelta = timedelta()
    lose_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Steps for the next calls that match, one for each call; `match` None matches all."""

    kind: Kind
    call: CallKind
    match: str | None
    steps: list[Any]


PLAIN = Step()
DECLINED = Lifecycle(state=State.DECLINED, reason=DECLINE_REASON)
PENDING_THEN_PAID = Lifecycle(state=State.PENDING, turn=Turn(state=State.PAID, lookups=1))
PAID_THEN_RETURNED = Lifecycle(turn=Turn(state=State.RETURNED, lookups=1))

MAGIC = {
    "decline@sandbox.example": Step(lifecycle=DECLINED),
    "late@sandbox.example": Step(answer_late=LATE),
    "lost@sandbox.example": Step(lose_answer=True),
    "pending@sandbox.example": Step(lifecycle=PENDING_THEN_PAID),
    "returned@sandbox.example": Step(lifecycle=PAID_THEN_RETURNED),
}
"""The steps of magic destinations, for the call that makes the payout."""


def resolved(scripted: Step | None, *, destination: str | None, fresh: bool) -> Step:
    """The step of a submit: the script's, with the life cycle of the destination if it has none."""
    magic = MAGIC.get(destination or "", PLAIN) if fresh else PLAIN
    if scripted is None:
        return magic
    return replace(scripted, lifecycle=scripted.lifecycle or magic.lifecycle)


def script(value: Any) -> Script:
    """Reads a script and validates its steps."""
    fields = Fields(value, known=("kind", "call", "match", "steps"))
    kind = Kind(fields.choice("kind", list(Kind)))
    call = CallKind(fields.choice("call", list(CallKind), default=CallKind.SUBMIT))
    matched = "reference" if kind is Kind.PAYMENT else "destination"
    match = fields.object("match", known=(matched,))
    steps = fields.items("steps", count_max=STEPS_MAX)
    for each in steps:
        _check_fits(step(each), kind, call)
    return Script(
        kind=kind,
        call=call,
        match=match.text(matched) if matched in match else None,
        steps=steps,
    )


def step(value: Any) -> Step:
    """Reads one step of a script."""
    if not isinstance(value, dict):
        raise Malformed("Each step is an object.", "steps")
    name = value.get("action")
    if not isinstance(name, str) or name not in ACTIONS:
        raise Malformed(f"One of {', '.join(ACTIONS)} is expected.", "action")
    settings, make = ACTIONS[name]
    return make(Fields(value, known=("action", *settings)))


def _check_fits(read: Step, kind: Kind, call: CallKind) -> None:
    if read.lifecycle is not None and call is CallKind.FIND:
        raise Malformed("A look-up has no outcome: only its answer can be scripted.", "steps")
    turn = read.lifecycle.turn if read.lifecycle else None
    if turn is not None and turn.state is State.RETURNED and kind is Kind.PAYMENT:
        raise Malformed("A payment is refunded, never returned.", "steps")


def _pay(_: Fields) -> Step:
    return Step(lifecycle=Lifecycle())


def _decline(fields: Fields) -> Step:
    return Step(lifecycle=Lifecycle(state=State.DECLINED, reason=_reason(fields)))


def _pending_then_pay(fields: Fields) -> Step:
    turn = _turn(fields, State.PAID)
    return Step(lifecycle=Lifecycle(state=State.PENDING, turn=turn))


def _pending_then_decline(fields: Fields) -> Step:
    turn = replace(_turn(fields, State.DECLINED), reason=_reason(fields))
    return Step(lifecycle=Lifecycle(state=State.PENDING, turn=turn))


def _return_after_paying(fields: Fields) -> Step:
    return Step(lifecycle=Lifecycle(turn=_turn(fields, State.RETURNED)))


def _refuse_before(fields: Fields) -> Step:
    return Step(refuse_status=fields.whole("status", low=500, high=599, default=503))


def _arrive_late(fields: Fields) -> Step:
    return Step(arrive_late=_delay(fields))


def _answer_late(fields: Fields) -> Step:
    return Step(answer_late=_delay(fields))


def _lose_answer(_: Fields) -> Step:
    return Step(lose_answer=True)


def _duplicated(_: Fields) -> Step:
    return Step(arrivals=2)


def _reason(fields: Fields) -> str:
    return fields.text("reason", default=DECLINE_REASON)


def _delay(fields: Fields) -> timedelta:
    return timedelta(milliseconds=fields.whole("delay_ms", low=1, high=DELAY_MS_MAX))


def _turn(fields: Fields, state: State) -> Turn:
    """A change due after `after_ms`, or else after `after_lookups` (default 1)."""
    if "after_ms" in fields and "after_lookups" in fields:
        raise Malformed("Either after_ms or after_lookups is expected.", "after_ms")
    if "after_ms" in fields:
        after_ms = fields.whole("after_ms", low=0, high=AFTER_MS_MAX)
        return Turn(state=state, after=timedelta(milliseconds=after_ms))
    return Turn(
        state=state, lookups=fields.whole("after_lookups", low=0, high=LOOKUPS_MAX, default=1)
    )


DUE = ("after_ms", "after_lookups")
ACTIONS: dict[str, tuple[tuple[str, ...], Callable[[Fields], Step]]] = {
    "pay": ((), _pay),
    "decline": (("reason",), _decline),
    "pending_then_pay": (DUE, _pending_then_pay),
    "pending_then_decline": ((*DUE, "reason"), _pending_then_decline),
    "return_after_paying": (DUE, _return_after_paying),
    "refuse_before": (("status",), _refuse_before),
    "arrive_late": (("delay_ms",), _arrive_late),
    "answer_late": (("delay_ms",), _answer_late),
    "lose_answer": ((), _lose_answer),
    "duplicated": ((), _duplicated),
}
"""By action: the names of its settings, and the function that makes its step."""
