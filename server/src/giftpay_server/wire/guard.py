"""Every failure leaves here as a status with a reason; no text of an unexpected exception does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from giftpay.v1 import (
    ERROR_REASON_DATABASE_UNAVAILABLE,
    ERROR_REASON_INTERNAL,
    ERROR_REASON_OVERLOADED,
    ERROR_REASON_SHUTTING_DOWN,
    Refusal,
)
from grpc_status import rpc_status

from giftpay_server.ledger.journal import DatabaseUnavailableError
from giftpay_server.ledger.waiting import OverloadedError, ShuttingDownError
from giftpay_server.postgres.pool import is_connection_lost
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.refusals import RefusedError, invalid, refusal, status

log = logging.getLogger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Servicer = TypeVar("Servicer")


def guarded(servicer: Servicer, methods: list[str]) -> Servicer:
    """The servicer with each method's failures turned into statuses.

    Wrapping once at the start costs a call nothing; an interceptor would cost it each time.
    """
    for name in methods:
        method = getattr(servicer, name)
        guard = _guard_stream if inspect.isasyncgenfunction(method) else _guard_unary
        setattr(servicer, name, guard(method))
    return servicer


def _guard_unary(method: Callable[[Any, Context], Awaitable[Any]]) -> Any:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await method(request, context)
        except Exception as error:
            await _abort(context, error)

    return call


def _guard_stream(method: Callable[[Any, Context], AsyncGenerator[Any, None]]) -> Any:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async with aclosing(method(request, context)) as messages:
                async for message in messages:
                    yield message
        except Exception as error:
            await _abort(context, error)

    return call


async def _abort(context: Context, error: Exception) -> NoReturn:
    others = error.others if isinstance(error, InvalidArgumentError) else ()
    told = rpc_status.to_status(status(refusal_from(error), [invalid(other) for other in others]))
    await context.abort_with_status(told)  # type: ignore[attr-defined]  # the stubs lack it
    raise asyncio.CancelledError  # abort_with_status never returns


def refusal_from(error: BaseException) -> Refusal:
    """What a caller is told of a failure."""
    match error:
        case RefusedError():
            return error.refusal
        case InvalidArgumentError():
            return invalid(error)
        case OverloadedError():
            return refusal(ERROR_REASON_OVERLOADED, {"queued": str(error)})
        case ShuttingDownError():
            return refusal(ERROR_REASON_SHUTTING_DOWN, {})
        case DatabaseUnavailableError():
            return refusal(ERROR_REASON_DATABASE_UNAVAILABLE, {})
        case _ if is_connection_lost(error):
            return refusal(ERROR_REASON_DATABASE_UNAVAILABLE, {})
    incident = os.urandom(4).hex()
    log.error("incident %s", incident, exc_info=error)
    return refusal(ERROR_REASON_INTERNAL, {"incident": incident})
