"""One account in the kernel and in the model of named coins, side by side."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from random import Random
from typing import NamedTuple

from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    SYSTEM_ACCOUNT_REFUNDS,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    SendGiftRequest,
    SystemAccount,
)
from giftpay_server.ledger.lots import Odometer, Withdrawn
from giftpay_server.ledger.model import (
    Account,
    Books,
    Command,
    Entry,
    Grant,
    Leg,
    Lot,
    LotKind,
    Positions,
    Posted,
    Withdrawal,
)
from giftpay_server.ledger.trace import CameBack, Past
from hypothesis import strategies as st

from tests.ledger.coins import Coin, Coins
from tests.ledger.histories import decided, opening_books

ANNA = "anna"
ACCOUNT = (ANNA, UNIT_COIN)
SOURCE = str(uuid.UUID(int=1))


class Step(NamedTuple):
    """What happens next, and to how many coins; less is taken where less is there."""

    kind: str
    coins: int
    bonus: int = 0
    pick: int = 0  # which coins, or which gift


KINDS = ("buy", "gift", "gift", "adjust", "reverse", "reverse", "claw back", "withdraw", "withdraw")
STEPS = [Step(*step) for step in product(KINDS, range(1, 10), range(4), range(5))]


def histories() -> st.SearchStrategy[list[Step]]:
    return st.lists(st.sampled_from(STEPS), max_size=16)


@dataclass
class Purse:
    """One account as the kernel keeps it, all that was written of it, and its coins by name."""

    books: Books = field(default_factory=lambda: opening_books([0, 0, 0]))
    entries: list[Entry] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    came_back: list[CameBack] = field(default_factory=list)
    coins: Coins = field(default_factory=Coins)

    @property
    def account(self) -> Account:
        return self.books.accounts[ACCOUNT]

    @property
    def debits(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.amount < 0]

    @property
    def odometer(self) -> Odometer:
        by_place = sorted(self.withdrawals, key=lambda row: row.first)
        return Odometer(self.lots, Withdrawn(*ACCOUNT, tuple(by_place)), self.account.spent)

    @property
    def past(self) -> Past:
        return Past({ACCOUNT: self.odometer}, self.came_back, self.debits)

    def play(self, history: Sequence[Step]) -> Purse:
        for step in history:
            self.take(step)
        return self

    def take(self, step: Step) -> Sequence[Entry]:
        """Takes one step in both; returns the entries that it made."""
        match step.kind:
            case "buy":
                paid = credit(step.coins, SYSTEM_ACCOUNT_ISSUANCE, LotKind.PAID)
                bonus = credit(step.bonus, SYSTEM_ACCOUNT_PROMOTION, LotKind.BONUS)
                return self._credit([paid, bonus][: 1 + (step.bonus > 0)])
            case "adjust":
                return self._credit([credit(step.coins, SYSTEM_ACCOUNT_ADJUSTMENT)])
            case "reverse":
                return self._reverse(step.pick)
            case "withdraw":
                unspent = self.coins.unspent
                coins = Random(step.pick).sample(unspent, min(step.coins, len(unspent)))
                return self.withdraw(sorted(coins, key=lambda coin: coin.place))
            case "claw back":
                amount, system = -step.coins, SYSTEM_ACCOUNT_ADJUSTMENT
                return self._spend([Leg(*ACCOUNT, amount, system, overdraw=True)])
        amount = -min(step.coins, max(0, self.account.available))
        return self._spend([Leg(*ACCOUNT, amount, SYSTEM_ACCOUNT_GIFT_SALES)] if amount else [])

    def withdraw(self, coins: Sequence[Coin]) -> Sequence[Entry]:
        """Takes these coins out, wherever they lie."""
        legs = [withdrawal(runs([coin.place for coin in coins]))] if coins else []
        entries = self.book(legs)
        for entry in entries:
            self.coins.withdraw(entry.seq, coins)
        return entries

    def book(self, legs: Sequence[Leg]) -> Sequence[Entry]:
        """Has the kernel decide on these legs."""
        command = Command(
            id=str(uuid.UUID(int=len(self.books.transactions) + 1)),
            caller="test",
            kind=TRANSACTION_KIND_GIFT,
            request=SendGiftRequest(),
            accounts=(ACCOUNT,),
            decide=lambda _books: Posted(legs=legs),
        )
        _, draft = decided([command], self.books)
        self.entries += draft.entries
        self.lots += draft.lots
        self.withdrawals += draft.withdrawals
        return draft.entries

    def _credit(self, legs: Sequence[Leg]) -> Sequence[Entry]:
        entries = self.book(legs)
        for entry in entries:
            self.coins.come(entry.seq, entry.amount)
        return entries

    def _spend(self, legs: Sequence[Leg]) -> Sequence[Entry]:
        entries = self.book(legs)
        for entry in entries:
            self.coins.spend(entry.seq, -entry.amount)
        return entries

    def _reverse(self, pick: int) -> Sequence[Entry]:
        """Returns all coins of one gift that was not reversed yet."""
        reversed_ = {back.debit.seq for back in self.came_back}
        gifts = [e for e in self.debits if e.system == SYSTEM_ACCOUNT_GIFT_SALES]
        open_gifts = [gift for gift in gifts if gift.seq not in reversed_]
        if not open_gifts:
            return []
        gift = open_gifts[pick % len(open_gifts)]
        legs = [credit(-gift.amount, SYSTEM_ACCOUNT_GIFT_SALES, LotKind.REVERSAL)]
        (entry,) = self.book(legs)
        self.came_back.append(CameBack(self.lots[-1], gift))
        self.coins.come(entry.seq, entry.amount, back_from=gift.seq)
        return [entry]


def credit(coins: int, system: SystemAccount.ValueType, kind: LotKind = LotKind.ADJUSTMENT) -> Leg:
    return Leg(*ACCOUNT, coins, system, Grant(kind, SOURCE))


def withdrawal(positions: Sequence[Positions]) -> Leg:
    amount = -sum(run.size for run in positions)
    return Leg(*ACCOUNT, amount, SYSTEM_ACCOUNT_REFUNDS, withdraws=positions)


def runs(places: Sequence[int]) -> list[Positions]:
    """Ascending places as runs of neighbours."""
    found = [list(g) for _, g in groupby(enumerate(places), lambda pair: pair[1] - pair[0])]
    return [Positions(run[0][1], len(run)) for run in found]
