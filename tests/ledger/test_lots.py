"""The law of lots: the intervals of an odometer say the same as a naive list of coins."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    SendGiftRequest,
    SystemAccount,
)
from giftpay_server.ledger.books import Books, Entry, Grant, Leg, Lot, LotKind
from giftpay_server.ledger.commands import Command, Posted
from giftpay_server.ledger.lots import Share, funding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.histories import decided, opening_books

ANNA = "anna"
SOURCE = str(uuid.UUID(int=1))


class Step(NamedTuple):
    """What happens next, and to how many coins; a spend takes less where less is there."""

    kind: str
    coins: int
    bonus: int = 0


KINDS = ("buy", "gift", "gift", "gift", "adjust", "reverse", "claw back")
STEPS = [Step(*step) for step in product(KINDS, range(1, 10), range(4))]


def histories() -> st.SearchStrategy[list[Step]]:
    return st.lists(st.sampled_from(STEPS), max_size=16)


@dataclass
class Kernel:
    """One account as the kernel keeps it, and all that was written of it."""

    books: Books = field(default_factory=lambda: opening_books([0, 0, 0]))
    entries: list[Entry] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)

    def take(self, step: Step) -> Sequence[Entry]:
        """Books one step; returns the entries that it made."""
        legs = self._legs(step)
        command = Command(
            id=str(uuid.UUID(int=len(self.books.transactions) + 1)),
            caller="test",
            kind=TRANSACTION_KIND_GIFT,
            request=SendGiftRequest(),
            accounts=((ANNA, UNIT_COIN),),
            decide=lambda _books: Posted(legs=legs),
        )
        _, draft = decided([command], self.books)
        self.entries += draft.entries
        self.lots += draft.lots
        return draft.entries

    def _legs(self, step: Step) -> Sequence[Leg]:
        available = max(0, self.books.accounts[ANNA, UNIT_COIN].available)
        match step.kind:
            case "buy":
                paid = credit(step.coins, SYSTEM_ACCOUNT_ISSUANCE, LotKind.PAID)
                bonus = credit(step.bonus, SYSTEM_ACCOUNT_PROMOTION, LotKind.BONUS)
                return [paid, bonus][: 1 + (step.bonus > 0)]
            case "adjust":
                return [credit(step.coins, SYSTEM_ACCOUNT_ADJUSTMENT, LotKind.ADJUSTMENT)]
            case "reverse":
                sent = [e.amount for e in self.entries if e.system == SYSTEM_ACCOUNT_GIFT_SALES]
                gifts = [-amount for amount in sent if amount < 0][-1:]
                return [credit(n, SYSTEM_ACCOUNT_GIFT_SALES, LotKind.REVERSAL) for n in gifts]
            case "claw back":
                amount, system = -step.coins, SYSTEM_ACCOUNT_ADJUSTMENT
                return [Leg(ANNA, UNIT_COIN, amount, system, overdraw=True)]
        amount = -min(step.coins, available)
        return [Leg(ANNA, UNIT_COIN, amount, SYSTEM_ACCOUNT_GIFT_SALES)] if amount else []


def credit(coins: int, system: SystemAccount.ValueType, kind: LotKind) -> Leg:
    return Leg(ANNA, UNIT_COIN, coins, system, Grant(kind, SOURCE))


@dataclass
class Coins:
    """Every coin by itself: a purse of those that are there, a list of those that are owed."""

    purse: deque[int] = field(default_factory=deque)  # each the seq of its lot
    owed: deque[int] = field(default_factory=deque)  # each the seq of the spend that lacks it
    paid: defaultdict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def book(self, entry: Entry) -> None:
        for _ in range(entry.amount):
            self.purse.append(entry.seq)
        for _ in range(-entry.amount):
            self.owed.append(entry.seq)
        while self.purse and self.owed:
            self.paid[self.owed.popleft()][self.purse.popleft()] += 1


def told(shares: Sequence[Share]) -> dict[int, int]:
    return {share.lot.seq: share.amount for share in shares}


@settings(max_examples=2_000)
@given(histories())
def test_intervals_agree_with_a_list_of_coins(history: list[Step]) -> None:
    kernel, coins = Kernel(), Coins()
    for step in history:
        for entry in kernel.take(step):
            coins.book(entry)
    for spend in (entry for entry in kernel.entries if entry.amount < 0):
        shares = funding(kernel.lots, spend)
        assert told(shares) == coins.paid[spend.seq]
        debt = -spend.amount - sum(share.amount for share in shares)
        assert debt == coins.owed.count(spend.seq)


@given(histories())
def test_lots_tile_what_was_minted(history: list[Step]) -> None:
    kernel = Kernel()
    for step in history:
        kernel.take(step)
    account = kernel.books.accounts[ANNA, UNIT_COIN]
    ends = [lot.first + lot.size for lot in kernel.lots]
    assert [lot.first for lot in kernel.lots] == [0, *ends][:-1]
    assert account.minted == sum(lot.size for lot in kernel.lots)


def test_paid_coins_go_before_the_bonus_that_came_with_them() -> None:
    kernel = Kernel()
    kernel.take(Step("buy", 9, bonus=3))
    (gift,) = kernel.take(Step("gift", 9))
    (rest,) = kernel.take(Step("gift", 2))
    paid, bonus = kernel.lots
    assert funding(kernel.lots, gift) == [Share(paid, 9)]
    assert funding(kernel.lots, rest) == [Share(bonus, 2)]


def test_debt_is_paid_by_the_next_credit() -> None:
    kernel = Kernel()
    (owed,) = kernel.take(Step("claw back", 7))
    assert funding(kernel.lots, owed) == []
    kernel.take(Step("adjust", 4))
    kernel.take(Step("buy", 9))
    first, second = kernel.lots
    assert funding(kernel.lots, owed) == [Share(first, 4), Share(second, 3)]
