"""Which accounts other servers write as well, so that a guess about them is likely to be wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from giftpay_server.journal.writes import Prepared
from giftpay_server.ledger.model import Account, AccountKey, Command, Draft

ACCOUNTS_MAX = 10_000  # remembered at most
LOCKED_MAX = 16  # batches in a row that lock an account before it is guessed at again


@dataclass(slots=True)
class Losses:
    """How an account fared."""

    in_a_row: int = 0
    to_lock: int = 0  # batches that name it and are to lock it at once


class Contention:
    """Remembers lost races by account: after each one in a row, twice as many batches lock it."""

    def __init__(self) -> None:
        self.losses: dict[AccountKey, Losses] = {}
        self._guessed: dict[AccountKey, int] = {}  # the versions that the lost batch had read

    def is_expected(self, commands: Sequence[Command]) -> bool:
        """Whether one of the commands names an account that is to be locked at once."""
        named = {key for command in commands for key in command.accounts}
        contended = [self.losses[key] for key in self.losses.keys() & named]
        expected = [losses for losses in contended if losses.to_lock]
        for losses in expected:
            losses.to_lock -= 1
        return bool(expected)

    def lost(self, draft: Draft, prepared: Prepared) -> None:
        """A batch lost: which accounts others wrote is seen when they are read again."""
        self._guessed = dict(zip(draft.accounts, prepared.versions, strict=False))

    def learn(self, read: Mapping[AccountKey, Account]) -> None:
        """Counts the accounts that are not as the lost batch had read them."""
        guessed, self._guessed = self._guessed, {}
        if len(self.losses) > ACCOUNTS_MAX:
            self.losses.clear()
        for key in guessed.keys() & read.keys():
            if read[key].version != guessed[key]:
                losses = self.losses.setdefault(key, Losses())
                losses.in_a_row += 1
                losses.to_lock = min(2 ** (losses.in_a_row - 1) - 1, LOCKED_MAX)

    def won(self, written: Collection[AccountKey]) -> None:
        """A batch was right about these accounts."""
        for key in self.losses.keys() & set(written):
            del self.losses[key]
