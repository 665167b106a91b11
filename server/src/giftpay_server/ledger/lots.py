"""Which coins an entry took, and of which lots: intervals on an account's odometer. Pure.

The coins of an account are numbered. A credit mints the positions [minted, minted + n). A spend
consumes the oldest that are there; a withdrawal takes those that it names, all of them unspent.
These lie behind all that was spent before, so that no spend is shifted by a later withdrawal: the
k-th coin ever spent lies at the k-th position that was never withdrawn, whenever one asks. Nothing
of this is written on the way of a gift.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from giftpay_server.ledger.model import Entry, Lot, Positions, Withdrawal


class Share(NamedTuple):
    """Some coins of one lot: positions [first, first + size) of its account."""

    lot: Lot
    first: int
    size: int  # above zero

    @property
    def price(self) -> int | None:
        """Minor units paid for them; the parts of a lot, however cut, add up to its price."""
        price, begin = self.lot.grant.price, self.first - self.lot.first
        if price is None:
            return None
        size = self.lot.size
        return price * (begin + self.size) // size - price * begin // size


@dataclass(slots=True, frozen=True)
class Withdrawn:
    """What was ever withdrawn from one account: a row that a command names to withdraw more."""

    owner_id: str
    unit: int
    rows: tuple[Withdrawal, ...] = ()  # in the order of their positions; none overlap

    @property
    def key(self) -> tuple[str, int]:
        return self.owner_id, self.unit

    def rank(self, position: int) -> int:
        """How many of the positions before this one were not withdrawn."""
        before = (row for row in self.rows if row.first < position)
        return position - sum(min(row.size, position - row.first) for row in before)

    def places(self, rank: int, size: int) -> list[Positions]:
        """The positions of the coins of rank [rank, rank + size) among those not withdrawn."""
        found, first = [], rank
        for row in self.rows:
            if row.first >= first + size:
                break
            if row.first > first:
                found.append(Positions(first, row.first - first))
                size -= row.first - first
            first = max(first, row.first) + row.size
        return [*found, Positions(first, size)] if size else found

    def before(self, seq: int) -> int:
        """How many coins the entries before this one had withdrawn."""
        return sum(row.size for row in self.rows if row.seq < seq)

    def by(self, seq: int) -> list[Positions]:
        """What one entry withdrew."""
        return [Positions(row.first, row.size) for row in self.rows if row.seq == seq]

    def and_also(self, rows: Iterable[Withdrawal]) -> Withdrawn | None:
        """With more of it; None if a position would be withdrawn twice."""
        merged = sorted((*self.rows, *rows), key=attrgetter("first"))
        if any(row.first + row.size > following.first for row, following in pairwise(merged)):
            return None
        return Withdrawn(self.owner_id, self.unit, tuple(merged))


@dataclass(slots=True, frozen=True)
class Odometer:
    """The coins of one account: how they came, and how far they went."""

    lots: Sequence[Lot]  # all, in the order of their seq, which is that of their positions
    withdrawn: Withdrawn
    spent: int

    def took(self, debit: Entry) -> list[Positions]:
        """The positions that a debit took, in their order.

        Those of a claw-back may pass what was minted: that is debt, and the next credits fill it.
        """
        named = self.withdrawn.by(debit.seq)
        return named or self.withdrawn.places(self._spent_before(debit), -debit.amount)

    def shares(self, positions: Iterable[Positions]) -> list[Share]:
        """The lots of these positions; those that were not minted yet have none."""
        return [share for run in positions for share in self._overlap(run)]

    @property
    def unspent_from(self) -> int:
        """The first position that is not spent; from here on, some may be withdrawn."""
        return self.withdrawn.places(self.spent, 1)[0].first

    def _spent_before(self, spend: Entry) -> int:
        """A balance is what was minted, less what was spent and what was withdrawn."""
        earlier = bisect_left(self.lots, spend.seq, key=attrgetter("seq"))
        minted = self.lots[earlier - 1].end if earlier else 0
        balance = spend.balance - spend.amount
        return minted - balance - self.withdrawn.before(spend.seq)

    def _overlap(self, run: Positions) -> Iterable[Share]:
        reached = bisect_right(self.lots, run.first, key=attrgetter("end"))
        for lot in self.lots[reached:]:
            first = max(lot.first, run.first)
            if first >= run.end:
                break
            yield Share(lot, first, min(lot.end, run.end) - first)
