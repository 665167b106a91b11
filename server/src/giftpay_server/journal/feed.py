"""Wakes those who follow an account. A hint and never the truth: the readers poll as well.

Between servers the hints pass by LISTEN and NOTIFY. Where the database has neither, they poll.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic

import asyncpg

from giftpay_server.ledger.model import Draft
from giftpay_server.postgres.faults import DATABASE_ERRORS
from giftpay_server.postgres.pool import Connect, Connection

log = logging.getLogger(__name__)

CHANNEL = "giftpay_entries"
HINT_MAX = 7_900  # bytes; Postgres refuses a payload of 8000
HINT_EVERY_S = 0.02
NEWS_MAX = 1_000  # owners; more than a hint can name
# Not in the transaction that moved them: a NOTIFY makes the commits of all servers wait in line.
HINT = "SELECT pg_notify($1, $2)"
RECONNECT_S = 1.0  # at first; twice as long after each failure
RECONNECT_MAX_S = 30.0
# SQLSTATE 0A000, and class 42: no such syntax, function or privilege.
NOT_SUPPORTED = (asyncpg.FeatureNotSupportedError, asyncpg.SyntaxOrAccessError)


class HintsNotSupportedError(Exception):
    """The database has no LISTEN or no NOTIFY, or not for us."""


class Feed:
    """Who waits for whose entries, in this process."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._name = os.urandom(6).hex()  # so that we do not listen to ourselves
        self._news: set[str] = set()  # whose accounts moved since the last hint
        self._stirred = asyncio.Event()
        self.unnamed = asyncio.Event()  # somewhere so many accounts moved that no hint names them
        self._linked: bool | None = None  # to the other servers; None: not tried yet
        self.closed = False

    @contextmanager
    def watching(self, owner_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the owner may have new entries."""
        woken = asyncio.Event()
        self._waiting[owner_id].add(woken)
        try:
            yield woken
        finally:
            self._waiting[owner_id].discard(woken)
            if not self._waiting[owner_id]:
                del self._waiting[owner_id]

    def announce(self, draft: Draft) -> None:
        """Wakes those who follow an owner with new entries: here at once, elsewhere by a hint."""
        moved = {entry.owner_id for entry in draft.entries}
        if self._waiting:
            self._wake(moved)
        if len(self._news) < NEWS_MAX:
            self._news |= moved
        self._stirred.set()

    def close(self) -> None:
        """Wakes everyone for the last time: the server is stopping."""
        self.closed = True
        self._wake(list(self._waiting))
        self.unnamed.set()

    async def listen(self, connect: Connect) -> None:
        """Passes on the hints of the other servers; ends where the database takes none."""
        delay = RECONNECT_S
        while True:
            begun = monotonic()
            try:
                await self._listen(await connect())
            except HintsNotSupportedError as error:
                log.warning("no hints between servers, readers poll: %s", error)
                return
            except DATABASE_ERRORS as error:
                self._lost(error)
            if monotonic() - begun > RECONNECT_MAX_S:
                delay = RECONNECT_S
            await asyncio.sleep(delay)
            delay = min(2 * delay, RECONNECT_MAX_S)

    def _lost(self, error: BaseException) -> None:
        if self._linked is not False:
            log.warning("the hints of other servers are off, readers poll: %r", error)
        self._linked = False

    def _found(self) -> None:
        if self._linked is False:
            log.info("the hints of other servers are on again")
        self._linked = True

    async def _listen(self, connection: Connection) -> None:
        try:
            connection.add_termination_listener(lambda *_: self._stirred.set())
            await connection.add_listener(CHANNEL, self._hinted)
            self._found()
            while not connection.is_closed():
                await self._stirred.wait()
                self._stirred.clear()
                if self._news:
                    await connection.execute(HINT, CHANNEL, self._hint())
                    await asyncio.sleep(HINT_EVERY_S)  # what moves meanwhile is one more hint
            raise ConnectionError("the connection was closed")
        except NOT_SUPPORTED as error:
            raise HintsNotSupportedError(error) from error
        finally:
            connection.terminate()

    def _hint(self) -> str:
        owners = " ".join(self._news)
        self._news.clear()
        return f"{self._name} {owners if len(owners) <= HINT_MAX else '*'}"

    def _hinted(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        name, *owners = str(payload).split(" ")
        if name != self._name:
            if owners == ["*"]:
                self.unnamed.set()
            else:
                self._wake(owners)

    def _wake(self, owners: Iterable[str]) -> None:
        for owner_id in owners:
            for woken in self._waiting.get(owner_id, ()):
                woken.set()
