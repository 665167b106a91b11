"""What gRPC calls begin and end with: a first message that comes in time, and a status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn

from giftpay.v1 import Refusal
from grpc.aio import EOF, BaseError  # type: ignore[attr-defined]
from grpc_status import rpc_status

from giftpay_server.wire.identity import Context
from giftpay_server.wire.refusals import RefusedError, status


class Unsent:
    """The calls whose first message has not come yet, the oldest first; they are few, and young.

    Whoever opens calls and sends nothing displaces its own silent calls: an honest one is silent
    for a moment only, and never the oldest of many.
    """

    def __init__(
        self, most: int, within_s: float, *, too_many: RefusedError, too_late: RefusedError
    ) -> None:
        self._most = most
        self._within_s = within_s
        self._too_many = too_many.refusal
        self._too_late = too_late.refusal
        self._since: dict[Context, float] = {}
        self._ending: dict[Context, asyncio.Task[None]] = {}
        self._looks: asyncio.TimerHandle | None = None

    async def first_message(self, context: Context) -> bytes | None:
        """The serialised message; None if the caller sends none."""
        self._add(context)
        try:
            return await next_message(context)
        finally:
            self._since.pop(context, None)
            self._ending.pop(context, None)

    def _add(self, context: Context) -> None:
        if len(self._since) >= self._most:
            self._end(next(iter(self._since)), self._too_many)
        self._since[context] = monotonic()
        if self._looks is None:
            self._look_in(self._within_s)

    def _look_in(self, seconds: float) -> None:
        self._looks = asyncio.get_running_loop().call_later(seconds, self._end_late)

    def _end_late(self) -> None:
        """Ends what is too late, and looks again when the next one may be: one timer for all."""
        self._looks = None
        latest = monotonic() - self._within_s
        while self._since:
            context, since = next(iter(self._since.items()))
            if since > latest:
                return self._look_in(since - latest)
            self._end(context, self._too_late)

    def _end(self, context: Context, why: Refusal) -> None:
        del self._since[context]
        self._ending[context] = asyncio.create_task(self._abort(context, why))

    async def _abort(self, context: Context, why: Refusal) -> None:
        # Not by cancelling who reads: its message may have come, and grpc.aio would lose it.
        if context in self._ending:
            with suppress(BaseError, asyncio.CancelledError):
                await abort(context, why)


async def next_message(context: Context) -> bytes | None:
    """The next serialised message; None after the last."""
    message: Any = await context.read()
    return None if message is EOF else message


def end(context: Context, refused: Refusal, others: Sequence[Refusal] = ()) -> None:
    """Sets the refusal as the status of a call whose method then returns.

    Not by `abort`: gRPC keeps the exception with the call, and both with the frames that it passed,
    until the garbage collector runs; until then Core counts the call as one of the connection's.
    """
    refusal = rpc_status.to_status(status(refused, others))
    context.set_code(refusal.code)
    context.set_details(refusal.details)
    context.set_trailing_metadata(refusal.trailing_metadata)


async def abort(context: Context, refused: Refusal, others: Sequence[Refusal] = ()) -> NoReturn:
    """Ends a call with a refusal; `others` are of further malformed fields."""
    told = rpc_status.to_status(status(refused, others))
    await context.abort_with_status(told)  # type: ignore[attr-defined]  # the stubs lack it
    raise asyncio.CancelledError  # abort_with_status never returns


def leave_out_departures() -> None:
    """Has grpc.aio log no defect for each caller that leaves while it is answered."""
    logging.getLogger("grpc._cython.cygrpc").addFilter(_says_more)


def _says_more(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError"
