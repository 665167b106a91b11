"""Calls with a stream of answers; never retried, since messages were delivered already."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from time import monotonic
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from giftpay.channel import Channel
from giftpay.checks import check_size, check_type
from giftpay.connections import Connection, Method
from giftpay.errors import Keys
from giftpay.forks import check_process
from giftpay.keys import command_finder, name_commands
from giftpay.limits import MetadataLike, checked_seconds
from giftpay.status import End, call_error, end_of

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
SILENT_S = 20.0  # longer than any quiet stream is without a heartbeat

Start = Callable[[Connection], Any]


class ServerStreamRpc(Generic[Request, Response]):
    """An rpc with one request and a stream of answers."""

    def __init__(self, channel: Channel, method: Method[Request, Response]) -> None:
        self._channel, self._method = channel, method

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: MetadataLike = ()
    ) -> AsyncGenerator[Response]:
        check_process()
        check_type(request, self._method.request, self._method.name)
        options = _options(self._channel, timeout, metadata)
        return _messages(
            self._channel,
            lambda connection: connection.server_stream(self._method)(request, **options),
            keys=None,
        )


class BidiStreamRpc(Generic[Request, Response]):
    """An rpc with a stream of commands and a stream of answers."""

    def __init__(self, channel: Channel, method: Method[Request, Response]) -> None:
        self._channel, self._method = channel, method
        self._find = command_finder(method.request)

    def __call__(
        self,
        requests: AsyncIterable[Request],
        *,
        timeout: float | None = None,
        metadata: MetadataLike = (),
    ) -> AsyncGenerator[Response]:
        check_process()
        if not isinstance(requests, AsyncIterable):
            kind = type(requests).__name__
            raise TypeError(f"{self._method.name} takes an asynchronous iterable, not a {kind}.")
        options = _options(self._channel, timeout, metadata)
        source = Source(self._checked(requests))
        return _messages(
            self._channel,
            lambda connection: connection.bidi_stream(self._method)(source, **options),
            keys=(),
            source=source,
        )

    async def _checked(self, requests: AsyncIterable[Request]) -> AsyncIterator[Request]:
        async for request in requests:
            check_type(request, self._method.request, self._method.name)
            keys = None if self._find is None else name_commands(self._find(request))
            check_size(request.ByteSize(), keys)
            yield request


class Source:
    """The requests of a stream, and the error of their iterable: gRPC only cancels the call."""

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = requests
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for request in self._requests:
                yield request
        except Exception as error:
            self.error = error
            raise


def _options(channel: Channel, timeout: float | None, metadata: MetadataLike) -> dict[str, Any]:
    timeout_s = None if timeout is None else checked_seconds("timeout", timeout)
    return {"timeout": timeout_s, "metadata": channel.metadata_of(metadata)}


async def _messages(
    channel: Channel, start: Start, *, keys: Keys | None, source: Source | None = None
) -> AsyncGenerator[Any]:
    """The answers of one stream, on one connection."""
    channel.check_open(keys)
    connection, end = channel.connections.borrow(), End.GIVEN_UP
    call = start(connection)
    channel.open_ended.add(call)
    waits_since: float | None = monotonic()  # None while the caller has a message
    try:
        async for message in call:
            connection.note_message()
            waits_since = None
            yield message
            waits_since = monotonic()
        end = End.ANSWERED
    except grpc.aio.AioRpcError as status:
        error = call_error(status, keys)
        end = end_of(error)
        raise error from status
    except asyncio.CancelledError:
        channel.check_open(keys)
        if source is not None and source.error is not None:
            raise source.error from None
        raise
    finally:
        channel.open_ended.discard(call)
        call.cancel()
        is_silent = waits_since is not None and monotonic() - waits_since >= SILENT_S
        channel.connections.release(connection, end, is_silent=is_silent)
