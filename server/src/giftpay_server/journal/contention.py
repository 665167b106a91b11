"""Remembers accounts with serialization conflicts, which are locked at once for some batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from giftpay_server.journal.writes import Prepared
from giftpay_server.ledger.model import Account, AccountKey, Command, Draft

ACCOUNTS_MAX = 10_000  # remembered at most
LOCKED_MAX = 16  # batches that lock an account before it is decided optimistically again


@dataclass(slots=True)
class Conflicts:
    """The conflicts of one account."""

    in_a_row: int = 0
    to_lock: int = 0  # so many of the next batches that name it are to lock it at once


class Contention:
    """Counts conflicts by account: with each one in a row, twice as many batches lock it."""

    def __init__(self) -> None:
        self.conflicts: dict[AccountKey, Conflicts] = {}
        self._read_versions: dict[AccountKey, int] = {}  # by the last batch that had a conflict

    def use_lock_turn(self, commands: Sequence[Command]) -> bool:
        """Returns whether a batch names an account to be locked at once, and counts it."""
        named = {key for command in commands for key in command.accounts}
        contended = [self.conflicts[key] for key in self.conflicts.keys() & named]
        locking = [conflicts for conflicts in contended if conflicts.to_lock]
        for conflicts in locking:
            conflicts.to_lock -= 1
        return bool(locking)

    def record_conflict(self, draft: Draft, prepared: Prepared) -> None:
        """Notes the versions that a failed batch had read, to find those that changed."""
        self._read_versions = dict(zip(draft.accounts, prepared.versions, strict=False))

    def count_conflicts(self, read: Mapping[AccountKey, Account]) -> None:
        """Counts a conflict for each account that the last failed batch had read differently."""
        versions, self._read_versions = self._read_versions, {}
        if len(self.conflicts) > ACCOUNTS_MAX:
            self.conflicts.clear()
        for key in versions.keys() & read.keys():
            if read[key].version != versions[key]:
                conflicts = self.conflicts.setdefault(key, Conflicts())
                conflicts.in_a_row += 1
                conflicts.to_lock = min(2 ** (conflicts.in_a_row - 1) - 1, LOCKED_MAX)

    def record_success(self, written: Collection[AccountKey]) -> None:
        """Clears the counts of accounts that a batch wrote without a conflict."""
        for key in self.conflicts.keys() & set(written):
            del self.conflicts[key]
