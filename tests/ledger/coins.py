"""The model of lots: every coin by itself, with a name, and what happened to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from giftpay_server.ledger.trace import CoinState


@dataclass(eq=False)
class Coin:
    """One coin, from when it came to the entry that took it."""

    place: int  # how many came before it
    lot: int  # the seq of the entry that brought it
    was: Coin | None = None  # the coin that it is, where it came back
    state: CoinState = CoinState.UNSPENT
    taken_by: int = 0  # the seq of the entry
    next: Coin | None = None  # the coin that it came back as

    @property
    def root(self) -> Coin:
        """What it was when it first came."""
        coin = self
        while coin.was is not None:
            coin = coin.was
        return coin

    @property
    def last(self) -> Coin:
        """What it is by now."""
        coin = self
        while coin.next is not None:
            coin = coin.next
        return coin


@dataclass
class Coins:
    """All coins of one account in the order in which they came."""

    coins: list[Coin] = field(default_factory=list)
    owed: deque[int] = field(default_factory=deque)  # each the seq of the spend that lacks a coin
    took: dict[int, list[Coin]] = field(default_factory=dict)  # by the seq of a debit

    @property
    def unspent(self) -> list[Coin]:
        return [coin for coin in self.coins if coin.state is CoinState.UNSPENT]

    def come(self, seq: int, count: int, *, back_from: int | None = None) -> None:
        """So many new coins, or all those that a debit took; debt is paid at once."""
        were: Sequence[Coin | None] = [None] * count
        if back_from is not None:
            were = self.took[back_from]
            assert len(were) == count
        for was in were:
            coin = Coin(len(self.coins), seq, was)
            self.coins.append(coin)
            if was is not None:
                was.next = coin
        self._settle()

    def spend(self, seq: int, count: int) -> None:
        """The oldest coins that are there; what is not there is owed."""
        self.took[seq] = []
        self.owed.extend([seq] * count)
        self._settle()

    def withdraw(self, seq: int, coins: Iterable[Coin]) -> None:
        """These coins, wherever they lie."""
        self.took[seq] = [self._take(coin, seq, CoinState.WITHDRAWN) for coin in coins]

    def _settle(self) -> None:
        for coin in self.unspent[: len(self.owed)]:
            seq = self.owed.popleft()
            self.took[seq].append(self._take(coin, seq, CoinState.SPENT))

    def _take(self, coin: Coin, seq: int, state: CoinState) -> Coin:
        assert coin.state is CoinState.UNSPENT
        coin.state, coin.taken_by = state, seq
        return coin
