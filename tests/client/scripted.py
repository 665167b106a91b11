"""A real server on a real port that answers by a script and records its requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
from giftpay import status
from giftpay.v1 import SendGiftRequest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Play: TypeAlias = Callable[[Any, Context], Any]  # of the request, or of the stream of them
Step: TypeAlias = Message | grpc.StatusCode | Play


# Statuses without giftpay's ErrorInfo: of calls that broke off, and of calls not to be retried.
BROKEN = sorted([*status.BROKEN, grpc.StatusCode.DEADLINE_EXCEEDED], key=str)
PERMANENT = [code for code in grpc.StatusCode if code not in (*BROKEN, grpc.StatusCode.OK)]


class ScriptedServer(grpc.GenericRpcHandler):
    """Plays the steps of each rpc, one a call; the last one is repeated."""

    def __init__(self) -> None:
        self.address = ""
        self.asked: defaultdict[str, list[Any]] = defaultdict(list)
        self._steps: dict[str, list[Step]] = {}

    def script(self, rpc: str, *steps: Step) -> None:
        """Sets the steps of an rpc: a message to answer, a status to end with, or a function."""
        self._steps[rpc] = list(steps)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(_healthy)
        method = _method(str(details.method))
        if method.name not in self._steps:
            return None
        serializers = (
            GetMessageClass(method.input_type).FromString,
            GetMessageClass(method.output_type).SerializeToString,
        )
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream(method.name), *serializers)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(method.name), *serializers)
        return grpc.unary_unary_rpc_method_handler(self._unary(method.name), *serializers)

    def _unary(self, rpc: str) -> Play:
        async def call(request: Any, context: Context) -> Message:
            self.asked[rpc].append(request)
            step = self._next(rpc)
            return (
                await ended(step, context) if not callable(step) else await step(request, context)
            )

        return call

    def _stream(self, rpc: str) -> Play:
        async def call(request: Any, context: Context) -> AsyncIterator[Message]:
            self.asked[rpc].append(request)
            step = self._next(rpc)
            if not callable(step):
                yield await ended(step, context)
            else:
                async for message in step(request, context):
                    yield message

        return call

    def _next(self, rpc: str) -> Step:
        steps = self._steps[rpc]
        return steps.pop(0) if len(steps) > 1 else steps[0]


async def _healthy(_: bytes, __: Context) -> bytes:
    return b""


async def ended(step: Message | grpc.StatusCode, context: Context) -> Message:
    """The step as an answer; a status ends the call."""
    if isinstance(step, grpc.StatusCode):
        await context.abort(step, "as scripted")
    if isinstance(step, status_pb2.Status):
        end = rpc_status.to_status(step)
        await context.abort(end.code, end.details, end.trailing_metadata)
    return step


def _method(path: str) -> MethodDescriptor:
    pool = SendGiftRequest.DESCRIPTOR.file.pool
    method: MethodDescriptor = pool.FindMethodByName(path.strip("/").replace("/", "."))
    return method


@asynccontextmanager
async def serving(
    script: ScriptedServer,
    address: str = "127.0.0.1:0",
    *,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[None]:
    """Serves the script at the address; port 0 is any free one."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((script,))
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    script.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


def refusal_status(code: grpc.StatusCode, reason: str, *details: Message, **figures: object) -> Any:
    """The status of a refusal: one ErrorInfo with the reason and its figures."""
    info = error_details_pb2.ErrorInfo(
        reason=f"ERROR_REASON_{reason}",
        domain="giftpay",
        metadata={name: str(figure) for name, figure in figures.items()},
    )
    refusal = status_pb2.Status(code=code.value[0], message=f"{reason} as scripted.")
    for detail in (info, *details):
        refusal.details.add().Pack(detail)
    return refusal
