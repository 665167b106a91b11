"""What every call goes through: its key, its deadline, safe repetition, and the typed no."""

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from time import monotonic
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from giftpay.errors import GiftpayError, Keys, OutcomeUnknown
from giftpay.keys import FindCommands, command_finder, name_commands
from giftpay.status import call_error, unanswered
from giftpay.v1 import SendGiftRequest

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0

Item = TypeVar("Item")
Response = TypeVar("Response", bound=Message)


# CANCELLED is what a call gets that meets a server as it stops; our own cancelling raises here.
REPEATED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Channel:
    """What the generated stubs take for their channel."""

    def __init__(self, wire: grpc.aio.Channel, *, timeout: float) -> None:
        self._wire = wire
        self.timeout = timeout
        self.streams: set[grpc.aio.Call] = set()
        self.closed = False

    async def close(self) -> None:
        """End the calls under way and the connection."""
        self.closed = True
        for call in self.streams:  # those that gRPC leaves open
            call.cancel()
        await self._wire.close()

    def check_open(self, keys: Keys | None) -> None:
        """Raise what a call ends with that was cut off by closing the client."""
        if self.closed:
            raise unanswered("The client was closed.", keys) from None

    def unary_unary(
        self, method: str, *, response_deserializer: Callable[[bytes], Response], **_: object
    ) -> "UnaryRpc[Response]":
        """An rpc with one request and one answer."""
        attempt: grpc.aio.UnaryUnaryMultiCallable[bytes, Response]
        # Without a serializer, as every attempt sends the very same bytes.
        attempt = self._wire.unary_unary(method, None, response_deserializer)
        return UnaryRpc(self, attempt, find_commands(method))

    def unary_stream(self, method: str, **serializers: Any) -> "StreamRpc":
        """An rpc with a stream of answers."""
        return StreamRpc(self, self._wire.unary_stream(method, **serializers), keys=None)

    def stream_stream(self, method: str, **serializers: Any) -> "StreamRpc":
        """An rpc with a stream of commands and a stream of answers."""
        start = self._wire.stream_stream(method, **serializers)
        find = find_commands(method)

        async def named(requests: AsyncIterable[Message]) -> AsyncIterator[Message]:
            async for request in requests:
                if find is not None:
                    name_commands(find(request))
                yield request

        return StreamRpc(self, lambda requests, **rest: start(named(requests), **rest), keys=())


class UnaryRpc(Generic[Response]):
    """Repeats the call until there is an answer or the deadline has come."""

    def __init__(
        self,
        channel: Channel,
        attempt: grpc.aio.UnaryUnaryMultiCallable[bytes, Response],
        find: FindCommands | None,
    ) -> None:
        self._channel, self._attempt, self._find = channel, attempt, find

    def __call__(
        self, request: Message, *, timeout: float | None = None, **options: Any
    ) -> Coroutine[Any, Any, Response]:
        timeout_s = self._channel.timeout if timeout is None else timeout
        keys = None if self._find is None else name_commands(self._find(request))
        return self._answer(request.SerializeToString(), keys, timeout_s, options)

    async def _answer(
        self, payload: bytes, keys: Keys | None, timeout_s: float, options: dict[str, Any]
    ) -> Response:
        deadline, failures = monotonic() + timeout_s, 0
        earlier: grpc.aio.AioRpcError | None = None
        try:
            while True:
                try:
                    return await self._attempt(payload, timeout=deadline - monotonic(), **options)
                except grpc.aio.AioRpcError as error:
                    wait_s = backoff_s(failures)
                    repeat = error.code() in REPEATED
                    if not repeat or monotonic() + wait_s >= deadline:
                        cut = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                        # What the deadline cuts short says nothing; the attempt before it did.
                        last = earlier if cut and earlier is not None else error
                        raise _last_word(call_error(last, keys), failures) from error
                    earlier = error
                failures += 1
                await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            self._channel.check_open(keys)
            raise


class StreamRpc:
    """Calls once: what a stream has delivered cannot be taken back."""

    def __init__(self, channel: Channel, start: Callable[..., Any], *, keys: Keys | None) -> None:
        self._channel, self._start, self._keys = channel, start, keys

    async def __call__(self, requests: object, **options: Any) -> AsyncIterator[Any]:
        call = self._start(requests, **options)
        self._channel.streams.add(call)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise call_error(error, self._keys) from error
        except asyncio.CancelledError:
            self._channel.check_open(self._keys)
            raise
        finally:
            self._channel.streams.discard(call)
            call.cancel()


def backoff_s(failures: int) -> float:
    """How long to wait after one more failure than these.

    Anything up to the bound ("full jitter"), so that those who failed together come back apart.
    """
    return random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures, 10)))


def find_commands(method: str) -> FindCommands | None:
    """How to find the commands in a request of this rpc, named as on the wire: /service/rpc."""
    pool = SendGiftRequest.DESCRIPTOR.file.pool
    rpc = pool.FindMethodByName(method.strip("/").replace("/", "."))
    return command_finder(rpc.input_type)


def _last_word(error: GiftpayError, failures: int) -> GiftpayError:
    """The error that a call ends with after so many attempts without an answer."""
    if not failures or not error.keys or error.pinned:
        return error
    # It tells of the last attempt alone; an earlier one may have been carried out.
    return OutcomeUnknown(
        error.message,
        reason=error.reason,
        metadata=error.metadata,
        code=error.code,
        keys=error.keys,
    )
