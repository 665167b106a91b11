"""Decides a batch on the books, and writes what it came to.

Either under locks, or on the books as the last batch left them: these are kept in memory, and the
statement that writes a batch fails if they are not what Postgres has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from giftpay_server.ledger import rules
from giftpay_server.ledger.books import AccountKey, Books, Draft
from giftpay_server.ledger.commands import Answer, Command
from giftpay_server.ledger.extras import save_extras
from giftpay_server.ledger.sessions import Sessions
from giftpay_server.ledger.store import (
    CatalogAt,
    Tables,
    columns,
    lock_accounts,
    named_accounts,
    read_books,
    read_rows,
    save_rows,
    write,
)
from giftpay_server.postgres.pool import Connect, Connection

ACCOUNTS_MAX = 100_000  # in memory; each takes about half a kilobyte


@dataclass(slots=True, eq=False)
class Decision:
    """What a batch came to."""

    answers: Sequence[Answer]
    draft: Draft
    columns: Sequence[Any]  # what it writes


class Committer:
    """Commits one batch after the other."""

    def __init__(
        self,
        *,
        connect: Connect,
        clock: Callable[[], datetime],
        catalog_at: CatalogAt,
        tables: Tables,
    ) -> None:
        self._sessions = Sessions(connect)
        self._clock = clock
        self._catalog_at = catalog_at
        self._tables = tables
        self._books = Books()  # as the last batch left them, as far as they are known
        self._last = Decision((), Draft(), ())

    async def decide_freely(self, commands: Sequence[Command], *, ahead: bool) -> Decision:
        """Decides without locks; `ahead`: while the batch before is still being written."""
        sessions, books = self._sessions, self._known_books()
        connection, keys = await sessions.writer(), named_accounts(commands)
        missing = [key for key in keys if key not in books.accounts]
        if missing:
            connection = await sessions.reader() if ahead else connection
            found = await read_books(connection, commands, missing, catalog_at=self._catalog_at)
            books.take_in(found)
            books.transactions = found.transactions
        self._last = self._decide(commands, keys, books)
        return self._last

    def _known_books(self) -> Books:
        if self.is_cut_off:
            self.forget()  # another Postgres may answer next, which has not all that this one had
        books = self._books
        if len(books.accounts) > ACCOUNTS_MAX:
            books = books.part(self._last.draft.accounts)  # which may be just being written
        # A key that was used before is noticed when it is written again.
        self._books = replace(books, transactions={}, claims={}, rows={})
        return self._books

    async def write_freely(self, decision: Decision) -> None:
        """Writes what was decided without locks; raises SerializationError if that changed."""
        connection = await self._sessions.writer()
        # Without extras it is one statement, and so a transaction of its own.
        async with connection.transaction() if decision.draft.has_extras else nullcontext():
            await self._write(connection, decision)

    async def commit(self, commands: Sequence[Command]) -> Decision:
        """Decides and writes under locks, so that nothing can change meanwhile."""
        connection, keys = await self._sessions.writer(), named_accounts(commands)
        async with connection.transaction():
            await lock_accounts(connection, keys)
            books = await self._read(connection, commands, keys)
            decision = self._decide(commands, keys, books)
            await self._write(connection, decision)
        self._books.take_in(books)
        return decision

    async def preview(self, connection: Connection, command: Command) -> Answer:
        """What a command would come to now; locks and writes nothing."""
        books = await self._read(connection, [command], command.accounts)
        return self._decide([command], command.accounts, books).answers[0]

    async def _read(
        self, connection: Connection, commands: Sequence[Command], keys: Collection[AccountKey]
    ) -> Books:
        books = await read_books(connection, commands, keys, catalog_at=self._catalog_at)
        books.rows = await read_rows(connection, commands, self._tables)
        return books

    def _decide(
        self, commands: Sequence[Command], keys: Collection[AccountKey], books: Books
    ) -> Decision:
        named = [books.accounts[key] for key in keys if key in books.accounts]
        books.now = max([self._clock(), *(account.entry_time for account in named)])
        catalog_version, draft = books.catalog_version, Draft()
        answers = rules.decide(commands, books, draft)
        for account in draft.accounts.values():
            account.entry_time = books.now
        # Now and not when it is written: who decides next goes on with the same accounts.
        written = columns(
            draft, now=books.now, stripe=self._sessions.stripe, catalog_version=catalog_version
        )
        return Decision(answers, draft, written)

    async def _write(self, connection: Connection, decision: Decision) -> None:
        draft = decision.draft
        if draft.transactions:
            await write(connection, draft, decision.columns)
            await save_extras(connection, draft)
            await save_rows(connection, draft, self._tables)

    def forget(self) -> None:
        """Forgets what the books were: they are not as they were thought to be."""
        self._books = Books()

    def drop(self) -> None:
        """Lets the sessions go at once: the database is away, or they are in doubt."""
        self.forget()
        self._sessions.drop()

    @property
    def is_cut_off(self) -> bool:
        """Whether the database was lost, and is not found again yet."""
        return not self._sessions.is_open

    async def close(self) -> None:
        """Ends the sessions in good order, as far as the database lets us."""
        await self._sessions.close()
