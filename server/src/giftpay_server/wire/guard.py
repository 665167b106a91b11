"""Turns every failure into a status with a reason, without the text of unexpected exceptions."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

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
from grpc.aio import AbortError, InternalError

from giftpay_server.journal.failures import AccountBusyError, DatabaseUnavailableError
from giftpay_server.journal.queue import OverloadedError, ShuttingDownError
from giftpay_server.postgres.clock import ClockSkewError
from giftpay_server.postgres.faults import is_unavailable
from giftpay_server.wire.admission import Admission, Place
from giftpay_server.wire.bounds import prepare, validate
from giftpay_server.wire.calls import end, next_message
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.health import UnknownServiceError
from giftpay_server.wire.identity import Call, Context, Identify
from giftpay_server.wire.refusals import RefusedError, invalid, refusal

log = logging.getLogger(__name__)

Behavior: TypeAlias = Callable[[Any, Call], Any]  # a servicer's method
Parse: TypeAlias = Callable[[bytes], Message]
Ask: TypeAlias = Callable[[bytes | None, Context, Call], Any]
Handle: TypeAlias = Callable[[Context, Call], Awaitable[Any]]


def handlers(
    servicer: object, service: ServiceDescriptor, identify: Identify, admission: Admission
) -> grpc.GenericRpcHandler:
    """The servicer's methods as gRPC calls them: with well-formed requests, and who calls.

    Each failure is turned into a status.

    Wrapping once at the start costs a call nothing; an interceptor would cost it each time. The
    generated handlers are not used: they end a call whose bytes are no message without a reason,
    and they let grpc.aio wait without a bound for a message that never comes. All methods are
    registered as if requests were streams, which is the same on the wire: the message is read here.
    """
    methods = {
        method.name: _handler(getattr(servicer, method.name), method, identify, admission)
        for method in service.methods
        # Services of grpcio's own packages grow: health has List since grpcio 1.81.
        if hasattr(servicer, method.name)
    }
    return grpc.method_handlers_generic_handler(service.full_name, methods)


def _handler(
    behavior: Behavior, method: MethodDescriptor, identify: Identify, admission: Admission
) -> grpc.RpcMethodHandler[Any, Any]:
    prepare(method.input_type)  # so that an option without effect ends the start
    handle = _streaming if method.server_streaming else _answering
    make = (
        grpc.stream_stream_rpc_method_handler
        if method.server_streaming
        else grpc.stream_unary_rpc_method_handler
    )
    return make(
        _guarded(handle(_asking(behavior, method), admission, admission.place(method)), identify),
        response_serializer=_encode,
    )


def _asking(behavior: Behavior, method: MethodDescriptor) -> Ask:
    """Calls the behavior with its request, or with the stream of its requests."""
    parse = GetMessageClass(method.input_type).FromString

    def ask(first: bytes | None, context: Context, call: Call) -> Any:
        return behavior(_well_formed(parse, first), call)

    def ask_streaming(first: bytes | None, context: Context, call: Call) -> Any:
        return behavior(_requests(parse, first, context), call)

    return ask_streaming if method.client_streaming else ask


async def _requests(parse: Parse, first: bytes | None, context: Context) -> AsyncIterator[Message]:
    payload = first
    while payload is not None:
        yield _well_formed(parse, payload)
        payload = await next_message(context)


def _encode(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def _well_formed(parse: Parse, payload: bytes | None) -> Message:
    try:
        if payload is None:
            raise DecodeError
        request = parse(payload)
    except DecodeError:
        raise InvalidArgumentError("request", "a message as its proto defines it") from None
    validate(request)
    return request


def _answering(ask: Ask, admission: Admission, place: Place) -> Handle:
    async def answer(context: Context, call: Call) -> Any:
        first = await admission.unsent.first_message(context)
        async with place:
            return await ask(first, context, call)

    return answer


def _streaming(ask: Ask, admission: Admission, place: Place) -> Handle:
    async def stream(context: Context, call: Call) -> None:
        first = await admission.unsent.first_message(context)
        async with place, aclosing(ask(first, context, call)) as messages:
            async for message in messages:
                await context.write(message)

    return stream


def _guarded(handle: Handle, identify: Identify) -> Any:
    async def call(_: object, context: Context) -> Any:
        try:
            return await handle(context, identify(context))
        except (AbortError, InternalError):  # ended by another task, or cancelled by its caller
            raise
        except UnknownServiceError as error:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details(f"{error} is no service of this server")
        except Exception as error:
            others = error.others if isinstance(error, InvalidArgumentError) else ()
            end(context, refusal_from(error), [invalid(other) for other in others])
            _release_frames(error)

    return call


def _release_frames(error: BaseException | None) -> None:
    """Breaks the cycle of an exception and the frames that hold it.

    Otherwise they keep the call until the garbage collector runs, and Core counts it until then.
    """
    while error is not None:
        error.__traceback__, error = None, error.__context__


def refusal_from(error: BaseException) -> Refusal:
    """The refusal that a caller gets for a failure."""
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
