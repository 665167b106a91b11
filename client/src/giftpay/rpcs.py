"""The types of rpcs that callers see, and the factory that makes them."""

from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from giftpay.channel import Channel
from giftpay.connections import Method
from giftpay.limits import MetadataLike
from giftpay.streams import BidiStreamRpc, ServerStreamRpc
from giftpay.unary import UnaryRpc

Sent = TypeVar("Sent", bound=Message)
Answer = TypeVar("Answer", bound=Message)
Request = TypeVar("Request", bound=Message, contravariant=True)
Response = TypeVar("Response", bound=Message, covariant=True)


class Rpc(Protocol[Request, Response]):
    """An rpc with one request and one answer.

    A coroutine: nothing is sent before it is awaited. `timeout` is in seconds, for all attempts;
    the client's if None. `metadata` are sent after the client's own.
    """

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: MetadataLike = ()
    ) -> Coroutine[Any, Any, Response]: ...


class ServerStream(Protocol[Request, Response]):
    """An rpc with one request and a stream of answers; one stream, without a deadline if None."""

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: MetadataLike = ()
    ) -> AsyncGenerator[Response]: ...


class BidiStream(Protocol[Request, Response]):
    """An rpc with streams of requests and of answers; one stream, without a deadline if None."""

    def __call__(
        self,
        requests: AsyncIterable[Request],
        *,
        timeout: float | None = None,
        metadata: MetadataLike = (),
    ) -> AsyncGenerator[Response]: ...


class Rpcs:
    """Makes the rpcs of a client; a path is /service/rpc."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def unary(self, path: str, request: type[Sent], response: type[Answer]) -> Rpc[Sent, Answer]:
        """An rpc with one request and one answer."""
        return UnaryRpc(self._channel, Method(path, request, response))

    def server_stream(
        self, path: str, request: type[Sent], response: type[Answer]
    ) -> ServerStream[Sent, Answer]:
        """An rpc with one request and a stream of answers."""
        return ServerStreamRpc(self._channel, Method(path, request, response))

    def bidi_stream(
        self, path: str, request: type[Sent], response: type[Answer]
    ) -> BidiStream[Sent, Answer]:
        """An rpc with a stream of requests and one of answers."""
        return BidiStreamRpc(self._channel, Method(path, request, response))
