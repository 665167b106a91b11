"""Streams accounts to followers: existing entries, then new ones, each once and in order.

The fan-out: each account with followers has one reader in a process. A follower has only a
position. The frames that it is sent are cached for all, and are read again once evicted.
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
from giftpay_server.wallet.frames import Frame, FrameCache, heartbeat
from giftpay_server.wallet.reader import Reader
from giftpay_server.wallet.statement import StatementLine, Statements
from giftpay_server.wallet.store import read_positions
from giftpay_server.wallet.wake_queue import Waiter, WakeQueue
from giftpay_server.wire.lane import PART, ReadLane

SWEEP_S = 3.0  # polling, which finds every entry; the feed's hints only find them sooner
SWEEP_REST_S = 0.2  # the minimum between two sweeps
SWEPT_AT_ONCE = 200  # accounts
CATCHING_UP_MAX = 4  # accounts; the others wait here, where they hold up no pages


class Followers:
    """The followers of accounts in this process."""

    def __init__(
        self, pool: Pool, feed: Feed, statements: Statements, reads: ReadLane, *, heartbeat_s: float
    ) -> None:
        self._pool = pool
        self._feed = feed
        self._statements = statements
        self._reads = reads  # of existing entries; new ones have a lane without pages
        self._catching_up = asyncio.Semaphore(CATCHING_UP_MAX)
        self._new_reads = ReadLane()
        self._heartbeat_s = heartbeat_s
        self._frames = FrameCache()
        self._wake_queue = WakeQueue()
        self._readers: dict[AccountKey, Reader] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def follow(
        self, account: AccountKey, *, after_seq: int, last_seq: int
    ) -> AsyncGenerator[Frame, None]:
        """The entries after a seq, existing and new; a heartbeat if there are none for a time.

        `last_seq` is the account's last one. Never returns. Raises ShuttingDownError when the feed
        closes, and InvalidArgumentError, like a resume beyond the end, when the account went back
        behind what was sent: the database was restored.
        """
        loop, position = asyncio.get_running_loop(), after_seq
        quiet_until = loop.time() + self._heartbeat_s
        with self._following(account, last_seq) as reader:
            while True:
                await reader.wait(position, until=quiet_until)
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
            if is_unavailable(reader.failure):
                raise DatabaseUnavailableError
            # A new error for each: the traceback of one that many raise grows with each.
            raise RuntimeError("the account's entries cannot be read") from reader.failure

    async def _catch_up(self, reader: Reader, position: int) -> Frame:
        """Reads the entries after an evicted position, once for all followers of the account."""
        loop = asyncio.get_running_loop()
        async with reader.catching_up, self._catching_up:
            if (kept := reader.frame(position, now=loop.time())) is not None:
                return kept
            limit = min(PART, reader.next_frame_start(position) - position)
            read = partial(self._statements.after, reader.account, position, limit)
            lines, data = await self._reads.part(read, self._response)
            if not lines:  # the account went back: let the reader find out
                reader.woken.set()
                return heartbeat(position)
            frame = Frame(data, lines[-1].stored.entry.seq)
            reader.add_old(position, frame, now=loop.time())
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
        reader = Reader(account, last_seq, self._frames, self._wake_queue)
        self._readers[account] = reader
        reader.task = asyncio.create_task(self._run(reader))
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep())
        return reader

    async def _run(self, reader: Reader) -> None:
        failure: Exception | None = None
        try:
            await self._read_loop(reader)
        except Exception as error:
            failure = error
        self._forget(reader)
        reader.stop(failure)

    def _forget(self, reader: Reader) -> None:
        """Removes a reader: later followers of the account start a new one."""
        if self._readers.get(reader.account) is reader:
            del self._readers[reader.account]

    async def _read_loop(self, reader: Reader) -> None:
        with self._feed.watching(reader.account[0]) as reader.woken:
            while not self._feed.closed:
                reader.woken.clear()  # before reading: a later entry wakes us again
                waiters, more = await self._read_new(reader)
                if more:
                    continue
                if waiters:  # entries that arrive until the last one resumes are one more read
                    await asyncio.wait(waiters[-1:])
                await reader.woken.wait()

    async def _read_new(self, reader: Reader) -> tuple[list[Waiter], bool]:
        """Reads new entries; returns the waiters that it wakes, and whether there may be more."""
        ahead, last_seq = reader.ahead(), 0

        async def read() -> Sequence[StatementLine]:
            nonlocal last_seq
            lines, last_seq = await self._statements.new(reader.account, reader.tip, PART)
            return lines

        lines, data = await self._new_reads.part(read, self._response)
        waiters: list[Waiter] = []
        if lines:
            frame = Frame(data, lines[-1].stored.entry.seq)
            waiters = reader.add(frame, now=asyncio.get_running_loop().time())
        reader.end_beyond(ahead, last_seq)
        return waiters, len(lines) == PART

    def _response(self, lines: Sequence[StatementLine]) -> WatchEntriesResponse:
        response = WatchEntriesResponse()
        if lines:
            self._statements.write(lines, response.entries)
            response.last_seq = lines[-1].stored.entry.seq
        return response

    async def _sweep(self) -> None:
        """Polls: wakes the readers of accounts with new entries, by one query for many accounts."""
        try:
            while self._readers:
                await asyncio.sleep(SWEEP_REST_S)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._feed.any_moved.wait(), SWEEP_S - SWEEP_REST_S)
                self._feed.any_moved.clear()
                self._frames.trim(now=asyncio.get_running_loop().time())
                readers = iter(list(self._readers.values()))
                while some := list(islice(readers, SWEPT_AT_ONCE)):
                    await self._sweep_some(some)
        finally:
            self._sweeping = None

    async def _sweep_some(self, readers: Sequence[Reader]) -> None:
        try:
            seqs = await read_positions(self._pool, [reader.account for reader in readers])
        except DATABASE_ERRORS:
            seqs = {}  # wake all: each reader reports the error to its followers
        for reader in readers:
            if seqs.get(reader.account, 0) != reader.tip:
                reader.woken.set()
