"""The side lane: commands that would hold up everybody else are settled beside the others.

Two kinds come here: those that need a row which another session holds, and those that are decided
alone, since they count rows. The lane has sessions of its own. To the main lane it is one more
server on the same database: the versions of the accounts prove to each what the other changed.
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
HELD_MAX_S = 8.0  # that a command waits for a row: less than a caller's usual deadline
PAUSE_MIN_S = 0.02  # between two rounds
PAUSE_MAX_S = 0.5
LOOK_AFTER_S = 0.004  # at who holds a row, while we wait for it
LOOK_MAX_S = 1.0
LOOKS_MAX = 5  # before it is logged without a name
SINGLES_MAX = 10  # commands of a round that are tried one by one


@dataclass(slots=True, eq=False)
class Parked:
    """A command in the side lane."""

    waiting: Waiting
    held: Collection[AccountKey] = ()  # by another session, when we last looked
    tries: int = 0  # in which it was stuck: it waits for a row
    since: float = field(default_factory=time.monotonic)

    @property
    def has_waited(self) -> bool:
        """Whether it has waited for a row for as long as it may."""
        if time.time() > self.waiting.expires:
            return True
        return self.tries > 0 and time.monotonic() > self.since + HELD_MAX_S

    @property
    def blocks(self) -> Collection[AccountKey]:
        """The accounts whose commands would wait as well, as far as they change other rows too."""
        return self.held or (self.waiting.command.accounts if self.tries else ())


class SideLane:
    """Settles in rounds what was set aside; nobody else waits for it."""

    def __init__(self, committer: Committer, answered: Answered) -> None:
        self._committer = committer
        self._answered = answered
        self._parked: dict[Parked, None] = {}  # in the order in which they came, or were tried
        self.held: Counter[AccountKey] = Counter()  # what names these waits here as well
        self.blocked: Counter[AccountKey] = Counter()  # and these, if it changes other rows too
        self._named: set[AccountKey] = set()  # of which it was logged who holds them
        self._settled = 0  # commands since the start
        self._stirred = asyncio.Event()
        self._closed = False

    def put(self, diverted: Sequence[Waiting], stuck: Sequence[Stuck]) -> None:
        """Takes what was diverted, and what could not be settled in the main lane."""
        for each in stuck:
            self._park(Parked(each.waiting, each.held, tries=1))
        for waiting in diverted:
            held = [key for key in waiting.command.accounts if key in self.held]
            self._park(Parked(waiting, held, tries=int(bool(held))))

    def _park(self, parked: Parked) -> None:
        if len(self._parked) < PARKED_MAX:
            self._parked[parked] = None
            self.held.update(parked.held)
            self.blocked.update(parked.blocks)
            self._stirred.set()
        elif not parked.waiting.answer.done():
            parked.waiting.answer.set_exception(OverloadedError(str(len(self._parked))))

    def _leave(self, parked: Parked) -> None:
        del self._parked[parked]
        for counter, keys in ((self.held, parked.held), (self.blocked, parked.blocks)):
            for key in keys:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

    async def run(self) -> None:
        """Runs round after round until `close` is called and nothing is left."""
        pause_s = PAUSE_MIN_S
        while self._parked or not self._closed:
            before = self._settled
            try:
                await self._round()
            except Exception:  # a defect of ours: the lane goes on, and those in it end in time
                log.exception("round", "a round of the side lane failed")
            pause_s = PAUSE_MIN_S if self._settled > before else min(2 * pause_s, PAUSE_MAX_S)
            if self._parked:
                await asyncio.sleep(pause_s)
            elif not self._closed:
                self._stirred.clear()
                await self._stirred.wait()

    def close(self) -> None:
        """Lets `run` end once what is here is settled or has waited for long enough."""
        self._closed = True
        self._stirred.set()

    async def _round(self) -> None:
        self._let_go()
        held = await self._still_held()
        ready = [each for each in self._parked if held.isdisjoint(each.held)]
        free = {each for each in ready if each.held and not each.waiting.command.alone}
        unnamed = held - self._named
        groups = [[each for each in ready if each in free]]
        groups += [[each] for each in ready if each not in free][:SINGLES_MAX]
        groups += [[each] for each in self._parked if not unnamed.isdisjoint(each.held)][:1]
        for group in filter(None, groups):
            await self._settle(group)
            self._let_go()
        self._named &= self.held.keys()

    def _let_go(self) -> None:
        """Refuses those that have waited long enough, and drops those whose caller has gone."""
        for parked in [each for each in self._parked if each.has_waited]:
            self._leave(parked)
            _refuse(parked)
        for parked in [each for each in self._parked if each.waiting.answer.done()]:
            self._leave(parked)  # nothing was decided

    async def _still_held(self) -> set[AccountKey]:
        keys = set(self.held)
        try:
            return await self._committer.held(keys) if keys else set()
        except Exception as error:
            log.warning(fault_of(error), "cannot look for what is held: %r", error)
            self._committer.drop()
            return keys

    async def _settle(self, group: Sequence[Parked]) -> None:
        group = [each for each in group if each in self._parked]
        batch = [each.waiting for each in group]
        running = asyncio.create_task(settle(self._committer, self._answered, batch))
        holder = await self._holder_during(running)
        stuck = {id(each.waiting): each for each in await running}  # two may have one key
        for parked in group:
            self._leave(parked)
            if (again := stuck.get(id(parked.waiting))) is None:
                self._settled += 1
            else:
                tries = parked.tries + 1
                self._park(Parked(again.waiting, again.held, tries=tries, since=parked.since))
                if holder or tries >= LOOKS_MAX:
                    self._name(again, holder)

    async def _holder_during(self, running: asyncio.Task[Sequence[Stuck]]) -> str:
        while not running.done():
            await asyncio.wait({running}, timeout=LOOK_AFTER_S)
            looking = asyncio.create_task(self._committer.holder())
            await asyncio.wait({running, looking}, return_when=asyncio.FIRST_COMPLETED)
            with suppress(Exception):  # an engine that cannot tell; or the database is away
                if looking.done() and looking.result():
                    return looking.result()
            await asyncio.wait({looking}, timeout=LOOK_MAX_S)
            looking.cancel()
        return ""

    def _name(self, stuck: Stuck, holder: str) -> None:
        row = ", ".join(f"{owner}/{short_name(Unit, unit)}" for owner, unit in stuck.held)
        if not row:
            kind = TransactionKind.Name(stuck.waiting.command.kind)
            row = f"that {kind} of {_owner(stuck.waiting)} needs"
        self._named.update(stuck.held)
        by = holder or "another session"
        log.warning(row, "%s holds the row %s; its commands wait, all others go on", by, row)


def _refuse(parked: Parked) -> None:
    if not parked.waiting.answer.done():
        parked.waiting.answer.set_exception(AccountBusyError(_owner(parked.waiting)))


def _owner(waiting: Waiting) -> str:
    return next((owner for owner, _ in waiting.command.accounts), "")
