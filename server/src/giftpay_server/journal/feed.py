"""Wakes the followers of accounts with new entries. Only a hint: the readers poll as well.

Hints between servers use LISTEN and NOTIFY. If the database supports neither, readers only poll.
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
MOVED_MAX = 1_000  # owners; more than a hint has bytes for
# Not in the transaction of the entries: a NOTIFY serializes the commits of all servers.
HINT = "SELECT pg_notify($1, $2)"
RECONNECT_S = 1.0  # at first; twice as long after each failure
RECONNECT_MAX_S = 30.0
# SQLSTATE 0A000, and class 42: no such syntax, function or privilege.
NOT_SUPPORTED = (asyncpg.FeatureNotSupportedError, asyncpg.SyntaxOrAccessError)


class HintsNotSupportedError(Exception):
    """The database has no LISTEN or no NOTIFY, or our role may not use them."""


class Feed:
    """The followers in this process, by owner, and the hints to and from other servers."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._name = os.urandom(6).hex()  # to ignore our own hints
        self._moved: set[str] = set()  # owners with new entries since the last hint
        self._wake_sender = asyncio.Event()
        self.any_moved = asyncio.Event()  # a hint was too long to name the accounts
        self._is_linked: bool | None = None  # to the other servers; None before the first try
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
        """Wakes the followers of owners with new entries: here at once, elsewhere by a hint."""
        moved = {entry.owner_id for entry in draft.entries}
        if self._waiting:
            self._wake(moved)
        if len(self._moved) < MOVED_MAX:
            self._moved |= moved
        self._wake_sender.set()

    def close(self) -> None:
        """Wakes all followers, as the server is stopping."""
        self.closed = True
        self._wake(list(self._waiting))
        self.any_moved.set()

    async def listen(self, connect: Connect) -> None:
        """Exchanges hints with other servers; returns if the database does not support it."""
        delay = RECONNECT_S
        while True:
            begun = monotonic()
            try:
                await self._listen(await connect())
            except HintsNotSupportedError as error:
                log.warning("no hints between servers, readers poll: %s", error)
                return
            except DATABASE_ERRORS as error:
                self._log_lost(error)
            if monotonic() - begun > RECONNECT_MAX_S:
                delay = RECONNECT_S
            await asyncio.sleep(delay)
            delay = min(2 * delay, RECONNECT_MAX_S)

    def _log_lost(self, error: BaseException) -> None:
        if self._is_linked is not False:
            log.warning("the hints of other servers are off, readers poll: %r", error)
        self._is_linked = False

    def _log_restored(self) -> None:
        if self._is_linked is False:
            log.info("the hints of other servers are on again")
        self._is_linked = True

    async def _listen(self, connection: Connection) -> None:
        try:
            connection.add_termination_listener(lambda *_: self._wake_sender.set())
            await connection.add_listener(CHANNEL, self._hinted)
            self._log_restored()
            while not connection.is_closed():
                await self._wake_sender.wait()
                self._wake_sender.clear()
                if self._moved:
                    await connection.execute(HINT, CHANNEL, self._hint())
                    await asyncio.sleep(HINT_EVERY_S)  # later entries share the next hint
            raise ConnectionError("the connection was closed")
        except NOT_SUPPORTED as error:
            raise HintsNotSupportedError(error) from error
        finally:
            connection.terminate()

    def _hint(self) -> str:
        owners = " ".join(self._moved)
        are_all = len(self._moved) < MOVED_MAX and len(owners) <= HINT_MAX
        self._moved.clear()
        return f"{self._name} {owners if are_all else '*'}"

    def _hinted(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        name, *owners = str(payload).split(" ")
        if name != self._name:
            if owners == ["*"]:
                self.any_moved.set()
            else:
                self._wake(owners)

    def _wake(self, owners: Iterable[str]) -> None:
        for owner_id in owners:
            for woken in self._waiting.get(owner_id, ()):
                woken.set()
