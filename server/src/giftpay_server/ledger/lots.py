"""Which lots paid for what: an overlap of intervals on an account's odometer. Pure.

The coins of an account are numbered. A credit mints the positions [minted, minted + n), a spend
consumes [spent, spent + m), each from where the one before it ended; so the coins that came first
are spent first, and nothing of this is written on the way of a gift.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from giftpay_server.ledger.books import Entry, Lot


class Share(NamedTuple):
    """What one lot paid of a spend."""

    lot: Lot
    amount: int  # above zero


def funding(lots: Sequence[Lot], spend: Entry) -> list[Share]:
    """Which lots paid for a spend, oldest first.

    `lots` are all of the spend's account, in the order of their seq. What the shares lack of the
    spend is debt: it passed what was minted, and the next credit will fill it.
    """
    first = _spent_before(lots, spend)
    end = first - spend.amount
    shares = []
    for lot in lots[bisect_left(lots, first + 1, key=_end) :]:
        if lot.first >= end:
            break
        shares.append(Share(lot, min(_end(lot), end) - max(lot.first, first)))
    return shares


def _spent_before(lots: Sequence[Lot], spend: Entry) -> int:
    """Where the odometer stood: an account's balance is what was minted less what was spent."""
    earlier = bisect_left(lots, spend.seq, key=attrgetter("seq"))
    minted = _end(lots[earlier - 1]) if earlier else 0
    balance = spend.balance - spend.amount
    return minted - balance


def _end(lot: Lot) -> int:
    return lot.first + lot.size
