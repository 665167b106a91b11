"""The side lane: settles commands apart that would block all others (head-of-line blocking).

Two kinds of commands come here: those that need a row locked by another session, and those that are
decided alone because they count rows. The lane has sessions of its own. The main lane treats it
like another server on the same database: each detects the other's changes by account versions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from giftpay.v1 import TransactionKind, Unit

from giftpay_server.journal.committer import Committer
from giftpay_server.journal.failures import AccountBusyError
from giftpay_server.journal.queue import OverloadedError, Waiting
from giftpay_server.journal.settlement import Answered, Stuck, settle
from giftpay_server.ledger.model import AccountKey
from giftpay_server.logs import SummedLog
from giftpay_server.postgres.faults import fault_of
from giftpay_server.protobuf import short_name

log = SummedLog(logging.getLogger(__name__))

PARKED_MAX = 1_000  # commands; more are refused at once
LOCK_WAIT_MAX_S = 8.0  # for a row that a command needs; less than a caller's usual deadline
PAUSE_MIN_S = 0.02  # between two rounds
PAUSE_MAX_S = 0.5
LOOK_AFTER_S = 0.004  # of waiting for a row, at the session that has locked it
LOOK_MAX_S = 1.0
LOOKS_MAX = 5  # before the wait is logged without the session's name
SINGLES_MAX = 10  # commands that one round tries one by one


@dataclass(slots=True, eq=False)
class Parked:
    """A command in the side lane."""

    waiting: Waiting
    locked: Collection[AccountKey] = ()  # of its accounts, by another session at the last look
    tries: int = 0  # in which it was stuck; above zero, it waits for a row
    since: float = field(default_factory=time.monotonic)

    @property
    def is_expired(self) -> bool:
        """Whether it has waited for a row for as long as it may."""
        if time.time() > self.waiting.expires:
            return True
        return self.tries > 0 and time.monotonic() > self.since + LOCK_WAIT_MAX_S

    @property
    def blocks(self) -> Collection[AccountKey]:
        """The accounts whose commands wait behind it, if they write rows of other tables too."""
        return self.locked or (self.waiting.command.accounts if self.tries else ())


class SideLane:
    """Settles parked commands in rounds, without blocking the main lane."""

    def __init__(self, committer: Committer, answered: Answered) -> None:
        self._committer = committer
        self._answered = answered
        self._parked: dict[Parked, None] = {}  # in the order of their arrival or last attempt
        self.locked: Counter[AccountKey] = Counter()  # every command that names these is parked
        self.blocked: Counter[AccountKey] = Counter()  # so is one that also writes other tables
        self._named: set[AccountKey] = set()  # those whose locking session was logged
        self._settled = 0  # commands since the start
        self._wakeup = asyncio.Event()
        self._closed = False

    def put(self, diverted: Sequence[Waiting], stuck: Sequence[Stuck]) -> None:
        """Parks commands that were diverted, or were stuck in the main lane."""
        for each in stuck:
            self._park(Parked(each.waiting, each.locked, tries=1))
        for waiting in diverted:
            locked = [key for key in waiting.command.accounts if key in self.locked]
            self._park(Parked(waiting, locked, tries=int(bool(locked))))

    def _park(self, parked: Parked) -> None:
        if len(self._parked) < PARKED_MAX:
            self._parked[parked] = None
            self.locked.update(parked.locked)
            self.blocked.update(parked.blocks)
            self._wakeup.set()
        elif not parked.waiting.answer.done():
            parked.waiting.answer.set_exception(OverloadedError(str(len(self._parked))))

    def _remove(self, parked: Parked) -> None:
        del self._parked[parked]
        for counter, keys in ((self.locked, parked.locked), (self.blocked, parked.blocks)):
            for key in keys:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

    async def run(self) -> None:
        """Runs round after round until `close` is called and nothing is parked."""
        pause_s = PAUSE_MIN_S
        while self._parked or not self._closed:
            before = self._settled
            try:
                await self._round()
            except Exception:  # the lane goes on, and its commands expire in time
                log.exception("round", "a round of the side lane failed")
            pause_s = PAUSE_MIN_S if self._settled > before else min(2 * pause_s, PAUSE_MAX_S)
            if self._parked:
                await asyncio.sleep(pause_s)
            elif not self._closed:
                self._wakeup.clear()
                await self._wakeup.wait()

    def close(self) -> None:
        """Lets `run` end once the parked commands are settled or have expired."""
        self._closed = True
        self._wakeup.set()

    async def _round(self) -> None:
        self._remove_finished()
        locked = await self._still_locked()
        ready = [each for each in self._parked if locked.isdisjoint(each.locked)]
        free = {each for each in ready if each.locked and not each.waiting.command.alone}
        unnamed = locked - self._named
        groups = [[each for each in ready if each in free]]
        groups += [[each] for each in ready if each not in free][:SINGLES_MAX]
        groups += [[each] for each in self._parked if not unnamed.isdisjoint(each.locked)][:1]
        for group in filter(None, groups):
            await self._settle(group)
            self._remove_finished()
        self._named &= self.locked.keys()

    def _remove_finished(self) -> None:
        """Refuses expired commands, and drops those whose caller has cancelled."""
        for parked in [each for each in self._parked if each.is_expired]:
            self._remove(parked)
            _refuse(parked)
        for parked in [each for each in self._parked if each.waiting.answer.done()]:
            self._remove(parked)  # nothing was decided

    async def _still_locked(self) -> set[AccountKey]:
        keys = set(self.locked)
        try:
            return await self._committer.locked_accounts(keys) if keys else set()
        except Exception as error:
            log.warning(fault_of(error), "cannot look for what is locked: %r", error)
            self._committer.drop()
            return keys

    async def _settle(self, group: Sequence[Parked]) -> None:
        group = [each for each in group if each in self._parked]
        batch = [each.waiting for each in group]
        running = asyncio.create_task(settle(self._committer, self._answered, batch))
        holder = await self._holder_during(running)
        stuck = {id(each.waiting): each for each in await running}  # keys may be repeated
        for parked in group:
            self._remove(parked)
            if (again := stuck.get(id(parked.waiting))) is None:
                self._settled += 1
            else:
                tries = parked.tries + 1
                self._park(Parked(again.waiting, again.locked, tries=tries, since=parked.since))
                if holder or tries >= LOOKS_MAX:
                    self._log_holder(again, holder)

    async def _holder_during(self, running: asyncio.Task[Sequence[Stuck]]) -> str:
        while not running.done():
            await asyncio.wait({running}, timeout=LOOK_AFTER_S)
            looking = asyncio.create_task(self._committer.lock_holder())
            await asyncio.wait({running, looking}, return_when=asyncio.FIRST_COMPLETED)
            with suppress(Exception):  # the engine does not support it, or the database is away
                if looking.done() and looking.result():
                    return looking.result()
            await asyncio.wait({looking}, timeout=LOOK_MAX_S)
            looking.cancel()
        return ""

    def _log_holder(self, stuck: Stuck, holder: str) -> None:
        row = ", ".join(f"{owner}/{short_name(Unit, unit)}" for owner, unit in stuck.locked)
        if not row:
            kind = TransactionKind.Name(stuck.waiting.command.kind)
            row = f"that {kind} of {_owner(stuck.waiting)} needs"
        self._named.update(stuck.locked)
        by = holder or "another session"
        log.warning(row, "%s holds the row %s; its commands wait, all others go on", by, row)


def _refuse(parked: Parked) -> None:
    if not parked.waiting.answer.done():
        parked.waiting.answer.set_exception(AccountBusyError(_owner(parked.waiting)))


def _owner(waiting: Waiting) -> str:
    return next((owner for owner, _ in waiting.command.accounts), "")
