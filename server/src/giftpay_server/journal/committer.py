"""Decides a batch on the books, and writes what it came to.

Either under locks, or optimistically, on the books as the last batch left them: these are kept in
memory, and the statement that writes a batch fails if they are not what Postgres has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

import asyncpg

from giftpay_server.journal.contention import Contention
from giftpay_server.journal.known_rows import KnownRows
from giftpay_server.journal.sessions import Sessions
from giftpay_server.journal.store import (
    CatalogAt,
    Tables,
    held_accounts,
    holder,
    lock_accounts,
    read_books,
    read_rows,
)
from giftpay_server.journal.writes import Prepared, prepare, save_extras, save_rows, write
from giftpay_server.ledger import rules
from giftpay_server.ledger.model import EPOCH, AccountKey, Answer, Books, Command, Draft, Outcome
from giftpay_server.ledger.movements import Movements
from giftpay_server.postgres.pool import Connect, Connection, as_durable_as_a_commit

ACCOUNTS_MAX = 100_000  # in memory; each takes about half a kilobyte
# Commands in a batch from which its keys are looked for before it is written: a key that was used
# before is then a replay, where it would cost a small batch no more than being decided again.
LOOKED_UP_FROM = 100
TICK = timedelta(microseconds=1)


@dataclass(slots=True, eq=False)
class DecidedBatch:
    """What a batch came to."""

    answers: Sequence[Answer]
    draft: Draft
    prepared: Prepared  # what it writes
    session: Connection  # and where
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # written, or never to be


class Committer:
    """Commits one batch after the other."""

    def __init__(
        self,
        *,
        connect: Connect,
        clock: Callable[[], datetime],
        catalog_at: CatalogAt,
        tables: Tables,
        movements: Movements,
        clock_skew_max: timedelta,
        lock_timeout_ms: int,
    ) -> None:
        self._clock_skew_max = clock_skew_max
        self._sessions = Sessions(connect, lock_timeout_ms=lock_timeout_ms)
        self._clock = clock
        self._catalog_at = catalog_at
        self._tables = tables
        self._movements = movements
        self._books = Books()  # as the last batch left them, as far as they are known
        self._rows = KnownRows(tables)
        self._stale: set[AccountKey] = set()
        self._contention = Contention()
        self._known_to: Connection | None = None  # the session that they were last written by
        self._decided_last: Collection[AccountKey] = ()
        self._under_way: set[DecidedBatch] = set()
        self._closed_time = EPOCH  # nothing more is decided at or before it

    async def decide_optimistically(
        self, commands: Sequence[Command], *, expires: float, ahead: bool
    ) -> DecidedBatch | None:
        """Decides on the known books; `ahead`: while the batch before is still being written.

        None if the write could not prove what was decided.
        """
        session, keys = await self._sessions.writer(), _named_accounts(commands)
        books = self._next_books(session)
        missing = [key for key in keys if key not in books.accounts]
        if missing:  # a companion must never be older than an account of its owner that is read
            self._rows.forget(owner_id for owner_id, _ in missing)
        if missing or len(commands) >= LOOKED_UP_FROM:
            reader = await self._sessions.reader() if ahead else session
            found = await read_books(reader, commands, missing, catalog_at=self._catalog_at)
            books.take_in(found)
            books.transactions, books.claims = found.transactions, found.claims
        await self._find_rows(commands, books, ahead=ahead)
        decided = self._decide(commands, books, session, expires)
        self._decided_last = decided.draft.accounts.keys()
        if any(map(_is_unproven, commands, decided.answers)):
            self.forget(decided)
            return None
        if decided.draft.rows:
            self._rows.add_decided(decided.draft.rows)
        return decided

    async def _find_rows(self, commands: Sequence[Command], books: Books, *, ahead: bool) -> None:
        names = [name for command in commands for name in command.reads]
        if not names:
            return
        books.rows = self._rows.find(commands)
        if missing := [name for name in names if name not in books.rows]:
            # After the accounts, so that a row which changed meanwhile is found to have.
            reader = await (self._sessions.reader() if ahead else self._sessions.writer())
            found = await read_rows(reader, missing, self._tables)
            self._rows.add(found)
            books.rows |= found

    def _next_books(self, session: Connection) -> Books:
        if session is not self._known_to:
            self.forget_all()  # another Postgres may answer now, and not have all of it
            self._known_to = session
            # A look at the past did not wait for a session that began after it: we decide later
            # than our begin by Postgres' clock, but never by more than clocks may differ.
            now = self._clock()
            begin_time = self._sessions.begin_time + (now - datetime.now(UTC))
            self._closed_time = max(self._closed_time, min(begin_time, now + self._clock_skew_max))
        books, stale, self._stale = self._books, self._stale, set()
        if stale:
            self._forget_accounts(stale)
        if max(len(books.accounts), len(books.owners), self._rows.companions) > ACCOUNTS_MAX:
            books = books.part(self._decided_last)  # which may be just being written
            self._rows.forget_all_but(owner_id for owner_id, _ in self._decided_last)
        # A key or a claim that was used before is noticed when it is written again, if not before.
        self._books = replace(books, transactions={}, claims={}, rows={})
        return self._books

    async def write_optimistically(self, decided: DecidedBatch) -> None:
        """Writes what was decided on them; raises SerializationError if they were wrong."""
        # Without extras it is one statement, and so a transaction of its own.
        extras = decided.draft.has_extras
        try:
            async with decided.session.transaction() if extras else nullcontext():
                await self._write(decided)
        finally:
            self._end(decided)
        if self._contention.losses:
            self._contention.won(decided.draft.accounts)

    async def commit(self, commands: Sequence[Command], *, expires: float) -> DecidedBatch:
        """Decides and writes under locks, so that nothing can change meanwhile."""
        session, keys = await self._sessions.writer(), _named_accounts(commands)
        decided = None
        self._next_books(session)
        try:
            async with session.transaction():
                await lock_accounts(session, keys)
                books = await self._read(session, commands, keys)
                self._contention.learn(books.accounts)
                decided = self._decide(commands, books, session, expires)
                await self._write(decided)
        finally:
            if decided is not None:
                self._end(decided)
        self._books.take_in(books)
        self._rows.forget(owner_id for owner_id, _ in books.accounts)
        self._rows.add(books.rows)
        return decided

    async def preview(self, connection: Connection, command: Command) -> Answer:
        """What a command would come to now; locks and writes nothing."""
        books = await self._read(connection, [command], command.accounts)
        books.now = self._now()
        (answer,) = rules.decide([command], books, Draft(), self._movements)
        return answer

    async def _read(
        self, connection: Connection, commands: Sequence[Command], keys: Collection[AccountKey]
    ) -> Books:
        books = await read_books(connection, commands, keys, catalog_at=self._catalog_at)
        names = [name for command in commands for name in command.reads]
        books.rows = await read_rows(connection, names, self._tables)
        return books

    def _now(self) -> datetime:
        return max(self._clock(), self._closed_time + TICK)

    def _decide(
        self,
        commands: Sequence[Command],
        books: Books,
        session: Connection,
        expires: float,
    ) -> DecidedBatch:
        books.now = self._now()
        offset = self._clock() - datetime.now(UTC)  # of a clock that tests move
        earliest = books.now - offset - self._clock_skew_max
        catalog_etag, draft = books.catalog_etag, Draft()
        answers = rules.decide(commands, books, draft, self._movements)
        for account in draft.accounts.values():
            account.entry_time = account.next_time(books.now)
        # Now and not when it is written: who decides next goes on with the same accounts.
        prepared = prepare(
            draft,
            now=books.now,
            within=(earliest, datetime.fromtimestamp(expires, UTC)),
            stripe=self._sessions.stripe,
            catalog_etag=catalog_etag,
        )
        decided = DecidedBatch(answers, draft, prepared, session)
        self._under_way.add(decided)
        return decided

    async def _write(self, decided: DecidedBatch) -> None:
        draft = decided.draft
        if draft.transactions:
            await write(decided.session, decided.prepared)
            await save_extras(decided.session, draft)
            await save_rows(decided.session, draft, self._tables)
        else:  # replays alone
            await as_durable_as_a_commit(decided.session)

    def _end(self, decided: DecidedBatch) -> None:
        self._under_way.discard(decided)
        decided.ended.set()

    async def close_time(self, keys: Collection[AccountKey], at: datetime) -> None:
        """Decides nothing more at or before a time, and waits for what was decided before."""
        self._closed_time = max(self._closed_time, at)
        for decided in list(self._under_way):
            if not decided.draft.accounts.keys().isdisjoint(keys):
                await decided.ended.wait()

    def is_provable(self, commands: Sequence[Command]) -> bool:
        """Whether a batch may be decided without locks: the write proves all that it looks at."""
        return all(
            not command.alone and (not command.reads or self._rows.are_kept(command.reads))
            for command in commands
        )

    def is_contended(self, commands: Sequence[Command]) -> bool:
        """Whether a batch had better be decided under locks: its accounts lost races of late."""
        return bool(self._contention.losses) and self._contention.is_expected(commands)

    async def held(self, keys: Collection[AccountKey]) -> set[AccountKey]:
        """Which of these accounts another session holds now.

        A stripe of ours that is held is exchanged for another.
        """
        writer, stripes = await self._sessions.writer(), self._sessions.stripes
        held = await held_accounts(writer, stripes.union(keys))
        if held & stripes:
            await self._sessions.change_stripe()
        return held - stripes

    async def holder(self) -> str:
        """Who holds what the writing session waits for; empty if nobody does."""
        writer = await self._sessions.writer()
        return await holder(await self._sessions.reader(), writer.get_server_pid())

    def forget(self, decided: DecidedBatch) -> None:
        """Forgets the accounts of a batch that was decided and not written.

        Their owners are read again together with them.
        """
        self._end(decided)
        self._forget_accounts(decided.draft.accounts)

    def lost(self, decided: DecidedBatch, error: Exception) -> None:
        """Forgets a batch that was not written, and notes whether others wrote its accounts."""
        self.forget(decided)
        if isinstance(error, asyncpg.SerializationError):
            self._contention.lost(decided.draft, decided.prepared)

    def note_stale(self, keys: Collection[AccountKey]) -> None:
        """Accounts that others wrote are forgotten before the next batch is decided.

        Not at once: one may be just being decided, and would miss them.
        """
        self._stale.update(keys)

    def _forget_accounts(self, keys: Collection[AccountKey]) -> None:
        for key in keys:
            self._books.accounts.pop(key, None)
        self._rows.forget(owner_id for owner_id, _ in keys)

    def forget_commands(self, commands: Sequence[Command]) -> None:
        """Forgets the accounts that commands name: others may have written them."""
        self._forget_accounts(_named_accounts(commands))

    def forget_all(self) -> None:
        """Forgets what the books were: they are not as they were thought to be."""
        self._books = Books()
        self._rows.forget_all()
        self._sessions.drop_reader()

    @property
    def stripe(self) -> int:
        """The stripe of the system accounts to which this adds."""
        return self._sessions.stripe

    @property
    def pids(self) -> Sequence[int]:
        """The processes of Postgres that serve the sessions."""
        return self._sessions.pids

    @property
    def is_cut_off(self) -> bool:
        """Whether the database was lost, and is not found again yet."""
        return not self._sessions.is_open

    def drop(self) -> None:
        """Lets the sessions go at once: the database is away, or they are in doubt."""
        self.forget_all()
        self._sessions.drop()

    async def close(self) -> None:
        """Ends the sessions in good order, as far as the database lets us."""
        await self._sessions.close()


def _named_accounts(commands: Sequence[Command]) -> set[AccountKey]:
    """All that the commands name."""
    return set(chain.from_iterable(command.accounts for command in commands))


def _is_unproven(command: Command, answer: Answer) -> bool:
    """A refusal takes no claim, so that the write does not tell whether one was taken meanwhile."""
    return bool(command.claims) and isinstance(answer, Outcome) and answer.transaction.reason != 0
