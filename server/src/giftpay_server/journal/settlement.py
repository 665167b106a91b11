"""Settles a batch under locks, and finds out what is at fault where that fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from giftpay_server.journal.committer import Committer, DecidedBatch
from giftpay_server.journal.failures import CommandFailedError, DatabaseUnavailableError
from giftpay_server.journal.queue import Waiting
from giftpay_server.ledger.model import AccountKey
from giftpay_server.logs import SummedLog
from giftpay_server.postgres.faults import Fault, fault_of

log = SummedLog(logging.getLogger(__name__))

# Attempts for one batch: enough to single out a few commands of a thousand by halves. A wait for a
# lock costs more than one.
ATTEMPTS_MAX = 100
WAIT_COSTS = 5
RACES_MAX = 2  # lost under locks, one after the other

Batch = Sequence[Waiting]
Answered = Callable[[Batch, DecidedBatch], None]


class Stuck(NamedTuple):
    """A command that could not be decided, since another session holds a row that it needs."""

    waiting: Waiting
    held: Collection[AccountKey]  # the accounts that are; empty: a row of another table


async def settle(
    committer: Committer, answered: Answered, batch: Batch, *, after: Exception | None = None
) -> Sequence[Stuck]:
    """Answers each command of a batch but those that are stuck, which it returns.

    `after`: why the batch could not be written as it was decided without locks.
    """
    settlement = _Settlement(committer, answered)
    await (settlement.run(batch) if after is None else settlement.run_after(after, batch))
    return settlement.stuck


class _Settlement:
    """Settles one batch, in parts where one of its commands is in the way."""

    def __init__(self, committer: Committer, answered: Answered) -> None:
        self._committer = committer
        self._answered = answered
        self._attempts = ATTEMPTS_MAX
        self.stuck: list[Stuck] = []

    async def run(self, batch: Batch, *, races: int = 0) -> None:
        """Answers each command, or adds it to `stuck`."""
        batch = unexpired(batch)
        if not batch:
            return
        self._attempts -= 1
        if self._attempts < 0:
            fail(batch)
            return
        expires = min(waiting.expires for waiting in batch)
        commands = [waiting.command for waiting in batch]
        try:
            self._answered(batch, await self._committer.commit(commands, expires=expires))
        except Exception as error:
            if fault_of(error) in (Fault.HELD, Fault.SLOW):
                self._committer.forget_commands(commands)
            else:
                self._committer.forget_all()
            await self._attend_to(error, batch, races)

    async def run_after(self, error: Exception, batch: Batch) -> None:
        """As `run`, for a batch that was decided without locks, and could not be written so."""
        match fault_of(error):
            case Fault.LOST:
                give_up(self._committer, batch, error)
            case Fault.HELD | Fault.SLOW:
                await self._set_aside(batch)
            case _:
                await self.run(batch)

    async def _attend_to(self, error: Exception, batch: Batch, races: int) -> None:
        match fault_of(error):
            case Fault.LOST_RACE if races < RACES_MAX:
                # What the other batch wrote is visible now, so the next look finds it.
                await self.run(batch, races=races + 1)
            case Fault.LATE if len(rest := unexpired(batch)) < len(batch):
                await self.run(rest, races=races)
            case Fault.LATE if len(batch) == 1:  # by the database's clock; ours is behind
                fail(batch)
            case Fault.HELD | Fault.SLOW:
                self._attempts -= WAIT_COSTS
                await self._set_aside(batch)
            case Fault.DEFECT | Fault.LATE | Fault.LOST_RACE if len(batch) > 1:
                await self._by_halves(batch)
            case Fault.DEFECT:
                fail_with(batch, error)
            case _:
                give_up(self._committer, batch, error)

    async def _set_aside(self, batch: Batch) -> None:
        stripe = self._committer.stripe
        held = await self._held(batch)
        if self._committer.stripe != stripe:  # it was ours that somebody held
            await self.run(batch)
            return
        stuck = [Stuck(each, keys) for each in batch if (keys := held & set(each.command.accounts))]
        if not stuck and len(batch) > 1:
            # No account is held: another row, which only a command that writes one can wait for.
            stuck = [Stuck(each, ()) for each in batch if not each.command.moves_only]
        if not stuck and len(batch) > 1:
            await self._by_halves(batch)
            return
        self.stuck += stuck or [Stuck(each, ()) for each in batch]
        left_out = {id(each.waiting) for each in self.stuck}  # by identity: two may have one key
        await self.run([each for each in batch if id(each) not in left_out])

    async def _held(self, batch: Batch) -> set[AccountKey]:
        try:
            return await self._committer.held(
                {key for waiting in batch for key in waiting.command.accounts}
            )
        except Exception:  # the next attempt finds out why
            return set()

    async def _by_halves(self, batch: Batch) -> None:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if self._committer.is_cut_off:  # since the first half: the database is away for all
                fail(half)
            else:
                await self.run(half)


def unexpired(batch: Batch) -> Batch:
    """Those that may still be posted; the others are answered that they were not."""
    now = time.time()
    if all(waiting.expires > now for waiting in batch):
        return batch
    fail([waiting for waiting in batch if waiting.expires <= now])
    return [waiting for waiting in batch if waiting.expires > now]


def give_up(committer: Committer, batch: Batch, error: Exception) -> None:
    """Answers a batch that the database did not take, and may take if it is sent again."""
    fault = fault_of(error)
    log.warning(fault, "a batch was not written (%s): %r", fault.value, error)
    if fault is Fault.LOST:
        committer.drop()
    fail(batch)


def fail(batch: Batch) -> None:
    """Answers that the database is unavailable; to each by itself, as tracebacks are not shared."""
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(DatabaseUnavailableError())


def fail_with(batch: Batch, cause: Exception) -> None:
    """Answers that commands could not be decided or written: a defect of ours."""
    for waiting in batch:
        if not waiting.answer.done():
            failure = CommandFailedError(waiting.command.id)
            failure.__cause__ = cause
            waiting.answer.set_exception(failure)
