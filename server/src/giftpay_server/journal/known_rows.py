"""A cache of slices' rows that can be read without a lock: companions and terms.

A companion belongs to one owner and changes only with commands that name all of the owner's
accounts. So the version of any of these accounts guards it as well: it is evicted with them and
read after them. Terms are immutable; their cache is bounded in bytes.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, cast

from giftpay_server.journal.store import Kept, Tables
from giftpay_server.ledger.model import Command, Row, RowKey

TERMS_MAX = 16 << 20  # bytes


class Companion(Row, Protocol):
    """A row of one owner."""

    @property
    def owner_id(self) -> str: ...


class KnownRows:
    """The rows that one committer has cached, as its last batches left or read them."""

    def __init__(self, tables: Tables) -> None:
        self._kept = {kind: table.kept for kind, table in tables.items()}
        self._companions: dict[str, dict[RowKey, Row]] = {}
        self.companions = 0
        self._terms = Terms()

    def are_kept(self, names: Iterable[RowKey]) -> bool:
        """Whether all rows of these names may be cached."""
        return all(self._kept[kind] is not Kept.NOT for kind, _ in names)

    def find(self, commands: Iterable[Command]) -> dict[RowKey, Row]:
        """The cached ones of the rows that commands read."""
        found = {}
        for command in commands:
            for name in command.reads:
                if (row := self._find(command, name)) is not None:
                    found[name] = row
        return found

    def _find(self, command: Command, name: RowKey) -> Row | None:
        for owner_id, _ in command.accounts:
            if (row := self._companions.get(owner_id, {}).get(name)) is not None:
                return row
        return self._terms.get(name)

    def add(self, rows: Mapping[RowKey, Row]) -> None:
        """Caches rows as they were read or written."""
        for name, row in rows.items():
            if self._kept[name[0]] is Kept.TERMS:
                self._terms.add(name, row)
        self.add_decided(rows)

    def add_decided(self, rows: Mapping[RowKey, Row]) -> None:
        """Caches companions as they were decided; they are evicted with their accounts."""
        for name, row in rows.items():
            if self._kept[name[0]] is Kept.COMPANION:
                of_owner = self._companions.setdefault(cast("Companion", row).owner_id, {})
                self.companions += name not in of_owner
                of_owner[name] = row

    def forget(self, owner_ids: Iterable[str]) -> None:
        """Evicts the companions of owners whose accounts are evicted, and no others.

        While an account is cached as a batch in flight leaves it, its companions must not be read
        from the database, which does not have that batch yet.
        """
        if self._companions:
            for owner_id in owner_ids:
                self.companions -= len(self._companions.pop(owner_id, ()))

    def forget_all_but(self, owner_ids: Iterable[str]) -> None:
        """Evicts the companions of all owners except these."""
        keep = set(owner_ids)
        self.forget([each for each in self._companions if each not in keep])

    def forget_all(self) -> None:
        """Empties the cache: another database may answer from now on."""
        self.forget_all_but(())
        self._terms = Terms()


class Terms:
    """An LRU cache of immutable rows, bounded in bytes."""

    def __init__(self) -> None:
        self._rows: OrderedDict[RowKey, Row] = OrderedDict()
        self._bytes = 0

    def get(self, name: RowKey) -> Row | None:
        """The row, if it is cached."""
        row = self._rows.get(name)
        if row is not None:
            self._rows.move_to_end(name)
        return row

    def add(self, name: RowKey, row: Row) -> None:
        """Caches a row, and evicts others if the cache is full."""
        if name in self._rows:
            return
        self._rows[name] = row
        self._bytes += _size(row)
        while self._bytes > TERMS_MAX:
            _, dropped = self._rows.popitem(last=False)
            self._bytes -= _size(dropped)


def _size(row: object) -> int:
    """The approximate size of a row in memory."""
    return sum(map(sys.getsizeof, _parts(row)))


def _parts(value: object) -> Iterator[object]:
    yield value
    if isinstance(value, tuple):
        for part in value:
            yield from _parts(part)
