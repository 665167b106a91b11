"""Computes which coins of which lots an entry took: first in, first out, by positions. Pure.

The coins of an account are numbered by an odometer that only counts up. A credit mints the
positions [minted, minted + n). A spend consumes the oldest unspent coins; a withdrawal takes the
positions that it names, all of them unspent. Unspent positions are higher than all spent ones, so a
later withdrawal does not change which coins an earlier spend took: the k-th coin ever spent is at
the k-th position that was never withdrawn. Sending a gift writes none of this.
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
        """Minor units paid for them; the shares of a lot always add up to its price."""
        price, begin = self.lot.grant.price, self.first - self.lot.first
        if price is None:
            return None
        size = self.lot.size
        return price * (begin + self.size) // size - price * begin // size


@dataclass(slots=True, frozen=True)
class Withdrawn:
    """All withdrawals from one account; a command that withdraws reads it."""

    owner_id: str
    unit: int
    rows: tuple[Withdrawal, ...] = ()  # in the order of their positions; none overlap

    @property
    def key(self) -> tuple[str, int]:
        return self.owner_id, self.unit

    def rank(self, position: int) -> int:
        """How many positions before this one were not withdrawn."""
        before = (row for row in self.rows if row.first < position)
        return position - sum(min(row.size, position - row.first) for row in before)

    def positions(self, rank: int, size: int) -> list[Positions]:
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

    def size_before(self, seq: int) -> int:
        """How many coins the entries before this one had withdrawn."""
        return sum(row.size for row in self.rows if row.seq < seq)

    def of_entry(self, seq: int) -> list[Positions]:
        """The positions that one entry withdrew."""
        return [Positions(row.first, row.size) for row in self.rows if row.seq == seq]

    def merged_with(self, rows: Iterable[Withdrawal]) -> Withdrawn | None:
        """These withdrawals and more; None if a position would be withdrawn twice."""
        merged = sorted((*self.rows, *rows), key=attrgetter("first"))
        if any(row.first + row.size > following.first for row, following in pairwise(merged)):
            return None
        return Withdrawn(self.owner_id, self.unit, tuple(merged))


@dataclass(slots=True, frozen=True)
class Odometer:
    """The numbered coins of one account: its lots, its withdrawals, and how many were spent."""

    lots: Sequence[Lot]  # all, by seq, which is also the order of their positions
    withdrawn: Withdrawn
    spent: int

    def positions_taken(self, debit: Entry) -> list[Positions]:
        """The positions that a debit took, in their order.

        Those of a claw-back may lie beyond what was minted: a debt, which the next credits fill.
        """
        named = self.withdrawn.of_entry(debit.seq)
        return named or self.withdrawn.positions(self._spent_before(debit), -debit.amount)

    def shares(self, positions: Iterable[Positions]) -> list[Share]:
        """The lots of these positions; a position that was not minted yet has none."""
        return [share for run in positions for share in self._overlap(run)]

    @property
    def unspent_from(self) -> int:
        """The first position that is neither spent nor withdrawn."""
        return self.withdrawn.positions(self.spent, 1)[0].first

    def _spent_before(self, spend: Entry) -> int:
        """Follows from: balance = minted - spent - withdrawn."""
        earlier = bisect_left(self.lots, spend.seq, key=attrgetter("seq"))
        minted = self.lots[earlier - 1].end if earlier else 0
        balance = spend.balance - spend.amount
        return minted - balance - self.withdrawn.size_before(spend.seq)

    def _overlap(self, run: Positions) -> Iterable[Share]:
        reached = bisect_right(self.lots, run.first, key=attrgetter("end"))
        for lot in self.lots[reached:]:
            first = max(lot.first, run.first)
            if first >= run.end:
                break
            yield Share(lot, first, min(lot.end, run.end) - first)
