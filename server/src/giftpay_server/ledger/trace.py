"""Traces coins: from a debit back to its purchases, or from a lot forward to its spends. Pure.

A reversal mints a new lot for coins that came back. Its n-th coin is the n-th coin that the debit
had taken, so a trace continues through it in both directions.
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
    """A lot of coins that came back, and the debit that had taken them, such as a gift's."""

    lot: Lot
    debit: Entry


@dataclass(slots=True, frozen=True)
class Past:
    """The input of a trace."""

    odometers: Mapping[tuple[str, int], Odometer]  # of each account that the coins were in
    came_back: Sequence[CameBack] = ()  # all of these accounts
    debits: Sequence[Entry] = ()  # all withdrawals, and spends as far as they were read

    def odometer(self, of: Entry | Lot) -> Odometer:
        """The odometer of an entry's or a lot's account."""
        return self.odometers[of.owner_id, of.unit]


class CoinState(IntEnum):
    """The state of traced coins."""

    UNSPENT = 1
    SPENT = 2
    WITHDRAWN = 3


class Fate(NamedTuple):
    """The state of some coins, and their share of the last lot that they belonged to."""

    share: Share
    state: CoinState
    debit: Entry | None = None  # that took them; None if they are unspent, or it was not read


class Taken(NamedTuple):
    """Some coins of a debit: the [skip, skip + size)-th of those that it took."""

    debit: Entry
    skip: int
    size: int


class BrokenTraceError(Exception):
    """Coins came back before they were taken: the books are inconsistent."""


Step = TypeVar("Step")
End = TypeVar("End")


def roots(past: Past, debit: Entry) -> list[Share]:
    """The purchases and grants that paid for a debit, in the order in which it took their coins.

    The part of the debit that they do not cover is debt, which no credit has filled yet.
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
    """The fate of each coin of a lot, in the order of their positions."""
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
    """The key of an entry, and of the lot that it minted."""
    return of.owner_id, of.unit, of.seq


def _walk(start: Step, step: Callable[[Step], Iterable[Step | End]], kind: type[Step]) -> list[End]:
    """All ends reached from a start, depth first; iterative, since chains may be long."""
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
    """Guarantees that a walk ends: coins come back only after all of them were taken."""
    same = (debit.owner_id, debit.unit) == (lot.owner_id, lot.unit)
    if same and past.odometer(debit).positions_taken(debit)[-1].end > lot.first:
        raise BrokenTraceError(f"{lot} was minted before {debit} took its coins")


def _funding(past: Past, taken: Taken) -> Iterator[Share]:
    """The shares of lots that were taken, reversal lots included."""
    odometer = past.odometer(taken.debit)
    skip, size = taken.skip, taken.size
    for share in odometer.shares(odometer.positions_taken(taken.debit)):
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
    state: CoinState


def _spans(past: Past) -> Mapping[tuple[str, int], Sequence[_Span]]:
    """By account, in the order of their positions."""
    spans: defaultdict[tuple[str, int], list[_Span]] = defaultdict(list)
    debits = {key(debit): debit for debit in past.debits}
    debits |= {key(back.debit): back.debit for back in past.came_back}
    for debit in debits.values():
        odometer, skip = past.odometer(debit), 0
        withdrawn = odometer.withdrawn.of_entry(debit.seq)
        state = CoinState.WITHDRAWN if withdrawn else CoinState.SPENT
        for run in odometer.positions_taken(debit):
            span = _Span(run.first, run.end, debit, skip, state)
            spans[debit.owner_id, debit.unit].append(span)
            skip += run.size
    for each in spans.values():
        each.sort()
    return spans


def _cut(share: Share, spans: Sequence[_Span]) -> Iterator[tuple[Share, _Span | None]]:
    """Splits a share into parts, each with the debit that took it, or None if none is known."""
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
    """The fate of coins that no known debit took: unspent, or spent by one that was not read."""
    lot, first, size = share
    spent = min(size, max(0, past.odometer(lot).unspent_from - first))
    if spent:
        yield Fate(Share(lot, first, spent), CoinState.SPENT)
    if spent < size:
        yield Fate(Share(lot, first + spent, size - spent), CoinState.UNSPENT)
