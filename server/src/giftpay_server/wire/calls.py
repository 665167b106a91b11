"""The start and the end of a gRPC call: a first message within its deadline, and a status."""

from __future__ import annotations

import asyncio
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
    """The calls whose first message has not arrived, oldest first; bounded in number and age.

    A caller that opens calls without a message evicts its own silent calls: an honest call is
    silent only briefly, and so is never the oldest of many.
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
        """Ends calls past their deadline, and schedules the next check: one timer for all."""
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
        # The reader is not cancelled: its message may have arrived, and grpc.aio would lose it.
        if context in self._ending:
            with suppress(BaseError, asyncio.CancelledError):
                await abort(context, why)


async def next_message(context: Context) -> bytes | None:
    """The next serialised message; None after the last."""
    message: Any = await context.read()
    return None if message is EOF else message


def end(context: Context, refused: Refusal, others: Sequence[Refusal] = ()) -> None:
    """Sets a refusal as the status of a call whose method then returns.

    `others` are refusals of further malformed fields. Not by `abort`: gRPC stores its exception in
    the call, which therefore lives until the garbage collector runs, and Core counts it until then.
    """
    grpc_status = rpc_status.to_status(status(refused, others))
    context.set_code(grpc_status.code)
    context.set_details(grpc_status.details)
    context.set_trailing_metadata(grpc_status.trailing_metadata)


async def abort(context: Context, refused: Refusal) -> NoReturn:
    """Ends a call with a refusal while its method still waits."""
    grpc_status = rpc_status.to_status(status(refused))
    await context.abort_with_status(grpc_status)  # type: ignore[attr-defined]  # the stubs lack it
    raise asyncio.CancelledError  # abort_with_status never returns
