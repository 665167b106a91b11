"""Where coins came from and what became of them, through whatever brought them back. Pure.

A lot whose coins came back is those coins again, in their order: its n-th coin is the n-th that the
debit had taken. From one debit or lot the walk goes back or forth until nothing leads further.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple, TypeVar

from giftpay_server.ledger.lots import Odometer, Share
from giftpay_server.ledger.model import Entry, Lot

EntryKey = tuple[str, int, int]  # owner_id, unit, seq


class CameBack(NamedTuple):
    """A lot, and the debit whose coins it is: for a reversal, that of the gift."""

    lot: Lot
    debit: Entry


@dataclass(slots=True, frozen=True)
class Past:
    """What a trace looks at."""

    odometers: Mapping[tuple[str, int], Odometer]  # of each account that the coins passed
    came_back: Sequence[CameBack] = ()  # every lot of them that did
    debits: Sequence[Entry] = ()  # all withdrawals, and spends as far as they were read

    def odometer(self, of: Entry | Lot) -> Odometer:
        """The one of an entry's or a lot's account."""
        return self.odometers[of.owner_id, of.unit]


class State(IntEnum):
    """What became of coins."""

    UNSPENT = 1
    SPENT = 2
    WITHDRAWN = 3


class Fate(NamedTuple):
    """What became of some coins, and where they lie, or lay last."""

    share: Share
    state: State
    debit: Entry | None = None  # what took them; None if unspent, or if it was not read


class Taken(NamedTuple):
    """Coins [skip, skip + size) of those that a debit took."""

    debit: Entry
    skip: int
    size: int


class BrokenTraceError(Exception):
    """Coins that came back before they were taken: the books are broken."""


Step = TypeVar("Step")
End = TypeVar("End")


def roots(past: Past, debit: Entry) -> list[Share]:
    """What paid for a debit: the coins of purchases and grants, in the order it took them.

    What they lack of the debit is debt that no credit filled yet.
    """
    origins = {key(back.lot): back.debit for back in past.came_back}

    def before(taken: Taken) -> Iterator[Taken | Share]:
        for share in _funding(past, taken):
            origin = origins.get(key(share.lot))
            if origin is None:
                yield share
            else:
                _assert_earlier(past, origin, share.lot)
                yield Taken(origin, share.first - share.lot.first, share.size)

    return _walk(Taken(debit, 0, -debit.amount), before, Taken)


def fate(past: Past, lot: Lot) -> list[Fate]:
    """What became of each coin of a lot, in the order of their positions."""
    spans = _spans(past)
    returned = {key(back.debit): back.lot for back in past.came_back}

    def after(share: Share) -> Iterator[Share | Fate]:
        for part, span in _cut(share, spans[share.lot.owner_id, share.lot.unit]):
            back = returned.get(key(span.debit)) if span is not None else None
            if span is None:
                yield from _untaken(past, part)
            elif back is None:
                yield Fate(part, span.state, span.debit)
            else:
                _assert_earlier(past, span.debit, back)
                yield Share(back, back.first + span.skip + part.first - span.first, part.size)

    return _walk(Share(lot, lot.first, lot.size), after, Share)


def key(of: Entry | Lot) -> EntryKey:
    """What names an entry, and the lot that it minted."""
    return of.owner_id, of.unit, of.seq


def _walk(start: Step, step: Callable[[Step], Iterable[Step | End]], kind: type[Step]) -> list[End]:
    """All ends that a start leads to, in order; without recursion, since chains may be long."""
    ends: list[End] = []
    ahead: list[Step | End] = [start]
    while ahead:
        here = ahead.pop()
        if isinstance(here, kind):
            ahead += reversed(list(step(here)))
        else:
            ends.append(here)  # type: ignore[arg-type]  # it is not a step
    return ends


def _assert_earlier(past: Past, debit: Entry, lot: Lot) -> None:
    """So that a walk ends: what came back was taken whole, and before it did."""
    same = (debit.owner_id, debit.unit) == (lot.owner_id, lot.unit)
    if same and past.odometer(debit).took(debit)[-1].end > lot.first:
        raise BrokenTraceError(f"{lot} is to return what {debit} took")


def _funding(past: Past, taken: Taken) -> Iterator[Share]:
    """The lots of what was taken, whatever brought them."""
    odometer = past.odometer(taken.debit)
    skip, size = taken.skip, taken.size
    for share in odometer.shares(odometer.took(taken.debit)):
        part = min(share.size - skip, size)
        if part > 0:
            yield Share(share.lot, share.first + skip, part)
            size -= part
        skip = max(0, skip - share.size)


class _Span(NamedTuple):
    """Positions [first, end) that a debit took, after `skip` others."""

    first: int
    end: int
    debit: Entry
    skip: int
    state: State


def _spans(past: Past) -> Mapping[tuple[str, int], Sequence[_Span]]:
    """By account, in the order of their positions."""
    spans: defaultdict[tuple[str, int], list[_Span]] = defaultdict(list)
    debits = {key(debit): debit for debit in past.debits}
    debits |= {key(back.debit): back.debit for back in past.came_back}
    for debit in debits.values():
        odometer, skip = past.odometer(debit), 0
        state = State.WITHDRAWN if odometer.withdrawn.by(debit.seq) else State.SPENT
        for run in odometer.took(debit):
            span = _Span(run.first, run.end, debit, skip, state)
            spans[debit.owner_id, debit.unit].append(span)
            skip += run.size
    for each in spans.values():
        each.sort()
    return spans


def _cut(share: Share, spans: Sequence[_Span]) -> Iterator[tuple[Share, _Span | None]]:
    """A share in parts, each of which one debit took, or none that is known."""
    lot, first, end = share.lot, share.first, share.first + share.size
    reached = bisect_right(spans, first, key=attrgetter("end"))
    for span in spans[reached:]:
        if span.first >= end:
            break
        if span.first > first:
            yield Share(lot, first, span.first - first), None
            first = span.first
        yield Share(lot, first, min(span.end, end) - first), span
        first = min(span.end, end)
    if first < end:
        yield Share(lot, first, end - first), None


def _untaken(past: Past, share: Share) -> Iterator[Fate]:
    """What no debit that was read took: unspent, or spent by one that was not."""
    lot, first, size = share
    spent = min(size, max(0, past.odometer(lot).unspent_from - first))
    if spent:
        yield Fate(Share(lot, first, spent), State.SPENT)
    if spent < size:
        yield Fate(Share(lot, first + spent, size - spent), State.UNSPENT)
