"""Decides and writes batches, with optimistic concurrency control or under row locks.

Optimistically, a batch is decided on accounts cached in memory as the last batch left them, and the
statement that writes it fails if they are not what Postgres has (a serialization conflict).
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
    lock_accounts,
    lock_holder,
    locked_accounts,
    read_books,
    read_rows,
)
from giftpay_server.journal.writes import Prepared, prepare, save_extras, save_rows, write
from giftpay_server.ledger import rules
from giftpay_server.ledger.model import EPOCH, AccountKey, Answer, Books, Command, Draft, Outcome
from giftpay_server.ledger.movements import Movements
from giftpay_server.postgres.pool import Connect, Connection, as_durable_as_a_commit

ACCOUNTS_MAX = 100_000  # in memory; each takes about half a kilobyte
# From this many commands on, the keys of a batch are looked up before it is decided, so that a
# replay does not fail the write. Deciding a smaller batch again costs no more than the look-up.
KEY_LOOKUP_MIN = 100
TICK = timedelta(microseconds=1)


@dataclass(slots=True, eq=False)
class DecidedBatch:
    """A batch that was decided and is written next."""

    answers: Sequence[Answer]
    draft: Draft
    prepared: Prepared  # the parameters of its write
    session: Connection  # that writes it
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # it was written, or given up


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
        self._books = Books()  # a cache of accounts as the last batch left them
        self._rows = KnownRows(tables)
        self._stale: set[AccountKey] = set()
        self._contention = Contention()
        self._known_to: Connection | None = None  # the session that wrote them last
        self._decided_last: Collection[AccountKey] = ()
        self._in_flight: set[DecidedBatch] = set()
        self._closed_time = EPOCH  # a closed timestamp: later decisions bear a later time

    async def decide_optimistically(
        self, commands: Sequence[Command], *, expires: float, ahead: bool
    ) -> DecidedBatch | None:
        """Decides on cached books; `ahead` (speculatively) while the previous batch is written.

        Returns None if the write would not detect a conflict, so that locks are needed.
        """
        session, keys = await self._sessions.writer(), _named_accounts(commands)
        books = self._next_books(session)
        missing = [key for key in keys if key not in books.accounts]
        if missing:  # a companion must never be older than its owner's accounts
            self._rows.forget(owner_id for owner_id, _ in missing)
        if missing or len(commands) >= KEY_LOOKUP_MIN:
            reader = await self._sessions.reader() if ahead else session
            found = await read_books(reader, commands, missing, catalog_at=self._catalog_at)
            books.merge(found)
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
            # After the accounts: a row that changed in between then fails the write.
            reader = await (self._sessions.reader() if ahead else self._sessions.writer())
            found = await read_rows(reader, missing, self._tables)
            self._rows.add(found)
            books.rows |= found

    def _next_books(self, session: Connection) -> Books:
        if session is not self._known_to:
            self.forget_all()  # another Postgres may answer now, without the last commits
            self._known_to = session
            # A read as of a time does not wait for sessions that begin after it. So this session
            # decides later than its begin by Postgres' clock, within the bound of the clocks.
            now = self._clock()
            begin_time = self._sessions.begin_time + (now - datetime.now(UTC))
            self._closed_time = max(self._closed_time, min(begin_time, now + self._clock_skew_max))
        books, stale, self._stale = self._books, self._stale, set()
        if stale:
            self._forget_accounts(stale)
        if max(len(books.accounts), len(books.owners), self._rows.companions) > ACCOUNTS_MAX:
            books = books.subset(self._decided_last)  # of the last batch, possibly still in flight
            self._rows.forget_all_but(owner_id for owner_id, _ in self._decided_last)
        # Keys and claims are not cached: writing one a second time violates its primary key.
        self._books = replace(books, transactions={}, claims={}, rows={})
        return self._books

    async def write_optimistically(self, decided: DecidedBatch) -> None:
        """Writes a batch decided without locks; raises SerializationError on a conflict."""
        # Without extras it is a single statement, which is a transaction by itself.
        extras = decided.draft.has_extras
        try:
            async with decided.session.transaction() if extras else nullcontext():
                await self._write(decided)
        finally:
            self._end(decided)
        if self._contention.conflicts:
            self._contention.record_success(decided.draft.accounts)

    async def commit(self, commands: Sequence[Command], *, expires: float) -> DecidedBatch:
        """Decides and writes under row locks (pessimistically)."""
        session, keys = await self._sessions.writer(), _named_accounts(commands)
        decided = None
        self._next_books(session)
        try:
            async with session.transaction():
                await lock_accounts(session, keys)
                books = await self._read(session, commands, keys)
                self._contention.count_conflicts(books.accounts)
                decided = self._decide(commands, books, session, expires)
                await self._write(decided)
        finally:
            if decided is not None:
                self._end(decided)
        self._books.merge(books)
        self._rows.forget(owner_id for owner_id, _ in books.accounts)
        self._rows.add(books.rows)
        return decided

    async def preview(self, connection: Connection, command: Command) -> Answer:
        """The answer that a command would get now; locks and writes nothing."""
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
        offset = self._clock() - datetime.now(UTC)  # of a clock that tests shift
        earliest = books.now - offset - self._clock_skew_max
        catalog_etag, draft = books.catalog_etag, Draft()
        answers = rules.decide(commands, books, draft, self._movements)
        for account in draft.accounts.values():
            account.entry_time = account.next_time(books.now)
        # Prepared now and not when it is written: the next batch changes the same accounts.
        prepared = prepare(
            draft,
            now=books.now,
            within=(earliest, datetime.fromtimestamp(expires, UTC)),
            stripe=self._sessions.stripe,
            catalog_etag=catalog_etag,
        )
        decided = DecidedBatch(answers, draft, prepared, session)
        self._in_flight.add(decided)
        return decided

    async def _write(self, decided: DecidedBatch) -> None:
        draft = decided.draft
        if draft.transactions:
            await write(decided.session, decided.prepared)
            await save_extras(decided.session, draft)
            await save_rows(decided.session, draft, self._tables)
        else:  # only replays
            await as_durable_as_a_commit(decided.session)

    def _end(self, decided: DecidedBatch) -> None:
        self._in_flight.discard(decided)
        decided.ended.set()

    async def close_time(self, keys: Collection[AccountKey], at: datetime) -> None:
        """Closes a time: waits for earlier decisions on accounts; later ones bear a later time."""
        self._closed_time = max(self._closed_time, at)
        for decided in list(self._in_flight):
            if not decided.draft.accounts.keys().isdisjoint(keys):
                await decided.ended.wait()

    def is_provable(self, commands: Sequence[Command]) -> bool:
        """Whether a batch may be decided without locks: its write detects every conflict."""
        return all(
            not command.alone and (not command.reads or self._rows.are_kept(command.reads))
            for command in commands
        )

    def use_lock_turn(self, commands: Sequence[Command]) -> bool:
        """Returns whether a batch is to lock at once, since its accounts had conflicts recently."""
        return bool(self._contention.conflicts) and self._contention.use_lock_turn(commands)

    async def locked_accounts(self, keys: Collection[AccountKey]) -> set[AccountKey]:
        """Which of these accounts another session has locked now.

        If our own stripe is locked, it is exchanged for another.
        """
        writer, stripes = await self._sessions.writer(), self._sessions.stripes
        locked = await locked_accounts(writer, stripes.union(keys))
        if locked & stripes:
            await self._sessions.change_stripe()
        return locked - stripes

    async def lock_holder(self) -> str:
        """Describes the session that blocks the writing one; empty if none does."""
        writer = await self._sessions.writer()
        return await lock_holder(await self._sessions.reader(), writer.get_server_pid())

    def forget(self, decided: DecidedBatch) -> None:
        """Evicts the accounts of a batch that was decided but not written."""
        self._end(decided)
        self._forget_accounts(decided.draft.accounts)

    def record_failure(self, decided: DecidedBatch, error: Exception) -> None:
        """Evicts the accounts of a batch whose write failed, and records a conflict."""
        self.forget(decided)
        if isinstance(error, asyncpg.SerializationError):
            self._contention.record_conflict(decided.draft, decided.prepared)

    def note_stale(self, keys: Collection[AccountKey]) -> None:
        """Marks accounts that others wrote, to be evicted before the next batch is decided.

        They are not evicted at once, since a batch may be in the middle of its decision.
        """
        self._stale.update(keys)

    def _forget_accounts(self, keys: Collection[AccountKey]) -> None:
        for key in keys:
            self._books.accounts.pop(key, None)
        self._rows.forget(owner_id for owner_id, _ in keys)

    def forget_commands(self, commands: Sequence[Command]) -> None:
        """Evicts the accounts that commands name: others may have written them."""
        self._forget_accounts(_named_accounts(commands))

    def forget_all(self) -> None:
        """Empties the cache: it may be wrong."""
        self._books = Books()
        self._rows.forget_all()
        self._sessions.drop_reader()

    @property
    def stripe(self) -> int:
        """The stripe of the system accounts that this committer adds to."""
        return self._sessions.stripe

    @property
    def pids(self) -> Sequence[int]:
        """The Postgres processes of its sessions."""
        return self._sessions.pids

    @property
    def is_cut_off(self) -> bool:
        """Whether the connection was lost, and is not open again yet."""
        return not self._sessions.is_open

    def drop(self) -> None:
        """Terminates the sessions at once: the database is away, or their state is unknown."""
        self.forget_all()
        self._sessions.drop()

    async def close(self) -> None:
        """Closes the sessions gracefully, if the database is still there."""
        await self._sessions.close()


def _named_accounts(commands: Sequence[Command]) -> set[AccountKey]:
    """The accounts that the commands name."""
    return set(chain.from_iterable(command.accounts for command in commands))


def _is_unproven(command: Command, answer: Answer) -> bool:
    """Whether the write would miss a conflict: a refusal writes no claim, so none can collide."""
    return bool(command.claims) and isinstance(answer, Outcome) and answer.transaction.reason != 0
