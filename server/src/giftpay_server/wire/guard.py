"""Every failure leaves here as a status with a reason; no text of an unexpected exception does."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
from giftpay.v1 import (
    ERROR_REASON_ACCOUNT_BUSY,
    ERROR_REASON_CLOCK_SKEW,
    ERROR_REASON_DATABASE_UNAVAILABLE,
    ERROR_REASON_INTERNAL,
    ERROR_REASON_OVERLOADED,
    ERROR_REASON_SHUTTING_DOWN,
    Refusal,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from giftpay_server.journal.failures import AccountBusyError, DatabaseUnavailableError
from giftpay_server.journal.queue import OverloadedError, ShuttingDownError
from giftpay_server.postgres.clock import ClockSkewError
from giftpay_server.postgres.faults import is_unavailable
from giftpay_server.wire.bounds import prepare, validate
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.identity import Call, Context, Identify
from giftpay_server.wire.refusals import RefusedError, invalid, refusal, status

log = logging.getLogger(__name__)


def handlers(
    servicer: object, service: ServiceDescriptor, identify: Identify
) -> grpc.GenericRpcHandler:
    """The servicer's methods as gRPC calls them: with well-formed requests, and who calls.

    Each failure is turned into a status.

    Wrapping once at the start costs a call nothing; an interceptor would cost it each time. The
    generated handlers are not used, since they end a call whose bytes are no message without a
    reason.
    """
    methods = {method.name: _handler(servicer, method, identify) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, methods)


def _handler(
    servicer: object, method: MethodDescriptor, identify: Identify
) -> grpc.RpcMethodHandler[Any, Any]:
    prepare(method.input_type)  # who starts a server learns of options that say nothing
    behavior = getattr(servicer, method.name)
    taking = _taking_messages if method.client_streaming else _taking_one
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    guard = _guard_stream if method.server_streaming else _guard_unary
    return make(
        guard(taking(behavior, identify)),
        request_deserializer=_decoder(GetMessageClass(method.input_type)),
        response_serializer=_encode,
    )


class _NoMessage:
    """What came were other bytes than those of a message."""


def _decoder(kind: type[Message]) -> Callable[[bytes], Message | _NoMessage]:
    def decode(payload: bytes) -> Message | _NoMessage:
        try:
            return kind.FromString(payload)
        except DecodeError:
            return _NoMessage()

    return decode


def _encode(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def _taking_one(
    method: Callable[[Any, Call], Any], identify: Identify
) -> Callable[[Any, Context], Any]:
    def call(request: Any, context: Context) -> Any:
        who = identify(context)
        return method(_well_formed(request), who)

    return call


def _taking_messages(
    method: Callable[[Any, Call], Any], identify: Identify
) -> Callable[[Any, Context], Any]:
    async def messages(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield _well_formed(request)

    def call(requests: AsyncIterator[Any], context: Context) -> Any:
        return method(messages(requests), identify(context))

    return call


def _well_formed(request: Any) -> Any:
    if isinstance(request, _NoMessage):
        raise InvalidArgumentError("request", "a message as giftpay.v1 defines it")
    validate(request)
    return request


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
        case ClockSkewError(skew=skew, bound=bound):
            figures = {"skew_s": f"{skew:.3f}", "bound_s": f"{bound:g}"}
            return refusal(ERROR_REASON_CLOCK_SKEW, figures)
        case AccountBusyError(owner_id=owner_id):
            return refusal(ERROR_REASON_ACCOUNT_BUSY, {"owner_id": owner_id})
        case DatabaseUnavailableError():
            return refusal(ERROR_REASON_DATABASE_UNAVAILABLE, {})
        case _ if is_unavailable(error):
            return refusal(ERROR_REASON_DATABASE_UNAVAILABLE, {})
    incident = os.urandom(4).hex()
    log.error("incident %s", incident, exc_info=error)
    return refusal(ERROR_REASON_INTERNAL, {"incident": incident})
