"""Following accounts: the past first, then what comes; every entry once and in order.

Whatever the number of its followers, an account has one reader in a process. A follower holds
nothing but its position: what it is sent is kept for all, or read again where it is kept no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice

from giftpay.v1 import WatchEntriesResponse

from giftpay_server.journal.failures import DatabaseUnavailableError
from giftpay_server.journal.feed import Feed
from giftpay_server.journal.queue import ShuttingDownError
from giftpay_server.ledger.model import AccountKey
from giftpay_server.postgres.faults import DATABASE_ERRORS, is_unavailable
from giftpay_server.postgres.pool import Pool
from giftpay_server.wallet.pieces import Frame, Pieces, heartbeat
from giftpay_server.wallet.reader import Reader
from giftpay_server.wallet.statement import Statements, Told
from giftpay_server.wallet.store import read_positions
from giftpay_server.wallet.turns import Turns, Waiting
from giftpay_server.wire.lane import PART, ReadLane

SWEEP_S = 3.0  # the truth; the feed's hints only make it sooner
SWEEP_REST_S = 0.2  # between two sweeps at the least
SWEPT_AT_ONCE = 200  # accounts


class Followers:
    """All who follow accounts in this process."""

    def __init__(
        self, pool: Pool, feed: Feed, statements: Statements, reads: ReadLane, *, heartbeat_s: float
    ) -> None:
        self._pool = pool
        self._feed = feed
        self._statements = statements
        self._reads = reads  # of the past; what is new waits for no pages
        self._looks = ReadLane()
        self._heartbeat_s = heartbeat_s
        self._pieces = Pieces()
        self._turns = Turns()
        self._readers: dict[AccountKey, Reader] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def follow(
        self, account: AccountKey, *, after_seq: int, last_seq: int
    ) -> AsyncGenerator[Frame, None]:
        """What was and is booked after a seq; a frame without entries where for long nothing was.

        `last_seq` is what the account has reached. Never returns; raises ShuttingDownError when the
        feed closes, and InvalidArgumentError, as a resume beyond the end does, when the account
        went back behind what was sent.
        """
        loop, position = asyncio.get_running_loop(), after_seq
        quiet_until = loop.time() + self._heartbeat_s
        with self._following(account, last_seq) as reader:
            while True:
                await reader.turn(position, until=quiet_until)
                self._check(reader)
                kept = reader.frame(position, now=loop.time())
                frame = kept or await self._catch_up(reader, position)
                if frame.last_seq > position or loop.time() >= quiet_until:
                    yield frame
                    position, quiet_until = frame.last_seq, loop.time() + self._heartbeat_s

    def _check(self, reader: Reader) -> None:
        if self._feed.closed:
            raise ShuttingDownError
        if reader.failure is not None:
            unavailable = is_unavailable(reader.failure)
            raise DatabaseUnavailableError if unavailable else reader.failure

    async def _catch_up(self, reader: Reader, position: int) -> Frame:
        """What follows a position that is kept no more; one of an account's followers reads it."""
        loop = asyncio.get_running_loop()
        async with reader.catching_up:
            if (kept := reader.frame(position, now=loop.time())) is not None:
                return kept
            limit = min(PART, reader.next_joint(position) - position)
            read = partial(self._statements.after, reader.account, position, limit)
            lines, data = await self._reads.part(read, self._shown)
            if not lines:  # they are gone: the reader is to see that the account went back
                reader.woken.set()
                return heartbeat(position)
            frame = Frame(data, lines[-1].line.entry.seq)
            reader.keep(position, frame, now=loop.time())
            return frame

    @contextmanager
    def _following(self, account: AccountKey, last_seq: int) -> Iterator[Reader]:
        reader = self._readers.get(account) or self._start(account, last_seq)
        reader.followers += 1
        try:
            yield reader
        finally:
            reader.followers -= 1
            if not reader.followers:
                self._forget(reader)
                reader.task.cancel()

    def _start(self, account: AccountKey, last_seq: int) -> Reader:
        reader = Reader(account, last_seq, self._pieces, self._turns)
        self._readers[account] = reader
        reader.task = asyncio.create_task(self._run(reader))
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep())
        return reader

    async def _run(self, reader: Reader) -> None:
        failure: Exception | None = None
        try:
            await self._look_on(reader)
        except Exception as error:
            failure = error
        self._forget(reader)
        reader.stop(failure)

    def _forget(self, reader: Reader) -> None:
        """Whoever follows the account from now on gets another reader."""
        if self._readers.get(reader.account) is reader:
            del self._readers[reader.account]

    async def _look_on(self, reader: Reader) -> None:
        with self._feed.watching(reader.account[0]) as reader.woken:
            while not self._feed.closed:
                reader.woken.clear()  # before the look: what is booked after it wakes us again
                called, more = await self._look(reader)
                if more:
                    continue
                if called:  # what is booked until the last of them goes on, is one look
                    await asyncio.wait(called[-1:])
                await reader.woken.wait()

    async def _look(self, reader: Reader) -> tuple[list[Waiting], bool]:
        """Takes what is new; who was called for it, and whether there may be more."""
        ahead, last_seq = reader.ahead(), 0

        async def read() -> Sequence[Told]:
            nonlocal last_seq
            lines, last_seq = await self._statements.news(reader.account, reader.tip, PART)
            return lines

        lines, data = await self._looks.part(read, self._shown)
        called: list[Waiting] = []
        if lines:
            frame = Frame(data, lines[-1].line.entry.seq)
            called = reader.move(frame, now=asyncio.get_running_loop().time())
        reader.end(ahead, last_seq)
        return called, len(lines) == PART

    def _shown(self, lines: Sequence[Told]) -> WatchEntriesResponse:
        shown = WatchEntriesResponse()
        if lines:
            self._statements.write(lines, shown.entries)
            shown.last_seq = lines[-1].line.entry.seq
        return shown

    async def _sweep(self) -> None:
        """Wakes the readers of accounts that moved, by one query for many of them."""
        try:
            while self._readers:
                await asyncio.sleep(SWEEP_REST_S)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._feed.unnamed.wait(), SWEEP_S - SWEEP_REST_S)
                self._feed.unnamed.clear()
                self._pieces.trim(now=asyncio.get_running_loop().time())
                readers = iter(list(self._readers.values()))
                while some := list(islice(readers, SWEPT_AT_ONCE)):
                    await self._sweep_some(some)
        finally:
            self._sweeping = None

    async def _sweep_some(self, readers: Sequence[Reader]) -> None:
        try:
            seqs = await read_positions(self._pool, [reader.account for reader in readers])
        except DATABASE_ERRORS:
            seqs = {}  # each looks for itself, and tells its followers what is wrong
        for reader in readers:
            if seqs.get(reader.account, 0) != reader.tip:
                reader.woken.set()
