"""Commits a batch under locks; where that fails, retries it or isolates the failing command.

A serialization conflict is retried. Commands that wait for a row locked by another session are
returned as stuck, so that they do not block the others. Any other failure is bisected.
"""

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

ATTEMPTS_MAX = 100  # for one batch: bisection then finds a few failing commands of a thousand
WAIT_COSTS = 5  # attempts; one that waits for a lock takes longer
CONFLICTS_MAX = 2  # in a row, under locks

Batch = Sequence[Waiting]
Answered = Callable[[Batch, DecidedBatch], None]


class Stuck(NamedTuple):
    """A command that could not be decided, since another session has locked a row that it needs."""

    waiting: Waiting
    locked: Collection[AccountKey]  # of its accounts; empty if it is a row of another table


async def settle(
    committer: Committer, answered: Answered, batch: Batch, *, after: Exception | None = None
) -> Sequence[Stuck]:
    """Answers each command of a batch except those that are stuck, which it returns.

    `after`: the error of the optimistic attempt, if there was one.
    """
    settlement = _Settlement(committer, answered)
    await (settlement.run(batch) if after is None else settlement.run_after(after, batch))
    return settlement.stuck


class _Settlement:
    """Settles one batch, in parts if one of its commands fails the whole."""

    def __init__(self, committer: Committer, answered: Answered) -> None:
        self._committer = committer
        self._answered = answered
        self._attempts = ATTEMPTS_MAX
        self.stuck: list[Stuck] = []

    async def run(self, batch: Batch, *, conflicts: int = 0) -> None:
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
            if fault_of(error) in (Fault.ROW_LOCKED, Fault.STATEMENT_TIMEOUT):
                self._committer.forget_commands(commands)
            else:
                self._committer.forget_all()
            await self._handle(error, batch, conflicts)

    async def run_after(self, error: Exception, batch: Batch) -> None:
        """As `run`, for a batch whose optimistic write failed with this error."""
        match fault_of(error):
            case Fault.CONNECTION_LOST:
                give_up(self._committer, batch, error)
            case Fault.ROW_LOCKED | Fault.STATEMENT_TIMEOUT:
                await self._set_aside(batch)
            case _:
                await self.run(batch)

    async def _handle(self, error: Exception, batch: Batch, conflicts: int) -> None:
        match fault_of(error):
            case Fault.SERIALIZATION_CONFLICT if conflicts < CONFLICTS_MAX:
                # What the other batch wrote is visible now to the next attempt.
                await self.run(batch, conflicts=conflicts + 1)
            case Fault.EXPIRED if len(rest := unexpired(batch)) < len(batch):
                await self.run(rest, conflicts=conflicts)
            case Fault.EXPIRED if len(batch) == 1:  # by the database's clock; ours is behind
                fail(batch)
            case Fault.ROW_LOCKED | Fault.STATEMENT_TIMEOUT:
                self._attempts -= WAIT_COSTS
                await self._set_aside(batch)
            case Fault.DEFECT | Fault.EXPIRED | Fault.SERIALIZATION_CONFLICT if len(batch) > 1:
                await self._bisect(batch)
            case Fault.DEFECT:
                fail_with(batch, error)
            case _:
                give_up(self._committer, batch, error)

    async def _set_aside(self, batch: Batch) -> None:
        stripe = self._committer.stripe
        locked = await self._locked_accounts(batch)
        if self._committer.stripe != stripe:  # our stripe was locked, and was exchanged
            await self.run(batch)
            return
        stuck = [
            Stuck(each, keys) for each in batch if (keys := locked & set(each.command.accounts))
        ]
        if not stuck and len(batch) > 1:
            # No account is locked, so it is a row of another table that one of them writes.
            stuck = [Stuck(each, ()) for each in batch if not each.command.moves_only]
        if not stuck and len(batch) > 1:
            await self._bisect(batch)
            return
        self.stuck += stuck or [Stuck(each, ()) for each in batch]
        left_out = {id(each.waiting) for each in self.stuck}  # by identity: keys may be repeated
        await self.run([each for each in batch if id(each) not in left_out])

    async def _locked_accounts(self, batch: Batch) -> set[AccountKey]:
        try:
            return await self._committer.locked_accounts(
                {key for waiting in batch for key in waiting.command.accounts}
            )
        except Exception:  # the next attempt finds out why
            return set()

    async def _bisect(self, batch: Batch) -> None:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if self._committer.is_cut_off:  # the connection was lost in the first half
                fail(half)
            else:
                await self.run(half)


def unexpired(batch: Batch) -> Batch:
    """Those that may still be posted; the others are answered as not posted."""
    now = time.time()
    if all(waiting.expires > now for waiting in batch):
        return batch
    fail([waiting for waiting in batch if waiting.expires <= now])
    return [waiting for waiting in batch if waiting.expires > now]


def give_up(committer: Committer, batch: Batch, error: Exception) -> None:
    """Answers a batch that was not written, and may be if its callers retry."""
    fault = fault_of(error)
    log.warning(fault, "a batch was not written (%s): %r", fault.value, error)
    if fault is Fault.CONNECTION_LOST:
        committer.drop()
    fail(batch)


def fail(batch: Batch) -> None:
    """Answers that the database is unavailable, each with an exception object of its own."""
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(DatabaseUnavailableError())


def fail_with(batch: Batch, cause: Exception) -> None:
    """Answers that commands could not be decided or written because of a defect."""
    for waiting in batch:
        if not waiting.answer.done():
            failure = CommandFailedError(waiting.command.id)
            failure.__cause__ = cause
            waiting.answer.set_exception(failure)
