"""The TCP connections of a client: a call uses the least busy; a dead one is replaced."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from giftpay.keepalive import CLIENT_OPTIONS, PING_AFTER_S
from giftpay.limits import ANSWER_MAX_BYTES
from giftpay.status import End
from giftpay.target import is_on_this_machine

RENEWED_AFTER_S = 1.0  # otherwise a failing server would get a new connection for each call

OPTIONS = (
    *CLIENT_OPTIONS,
    # Otherwise all channels of a process to one target share a connection, a dead one included.
    ("grpc.use_local_subchannel_pool", 1),
    # Reconnect within a second after a server is back; by default gRPC waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # This is also the timeout of one attempt to connect: the time to detect a dead connection.
    ("grpc.min_reconnect_backoff_ms", int(PING_AFTER_S * 1000)),
    ("grpc.max_receive_message_length", ANSWER_MAX_BYTES),
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """An rpc as gRPC names it: /service/rpc."""

    path: str
    request: type[Request]
    response: type[Response]

    @property
    def name(self) -> str:
        """The rpc alone, for a sentence."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parameters of each connection of a client."""

    target: str
    credentials: grpc.ChannelCredentials | None = None
    interceptors: Sequence[grpc.aio.ClientInterceptor] = ()
    options: Sequence[tuple[str, int]] = OPTIONS

    def new(self) -> grpc.aio.Channel:
        """A gRPC channel with one connection, which is opened when the first call needs it."""
        # A proxy named in the environment is used for other machines only.
        proxy = ("grpc.enable_http_proxy", int(not is_on_this_machine(self.target)))
        options, interceptors = [*self.options, proxy], list(self.interceptors)
        if self.credentials is None:
            return grpc.aio.insecure_channel(
                self.target, options=options, interceptors=interceptors
            )
        return grpc.aio.secure_channel(
            self.target, self.credentials, options=options, interceptors=interceptors
        )


class Connection:
    """One connection, its number of calls, and since when it owes a response."""

    def __init__(self, wiring: Wiring) -> None:
        self.grpc_channel = wiring.new()
        self.calls = 0
        self._intercepted = bool(wiring.interceptors)
        self._made_at = monotonic()
        self._waiting_since: float | None = None
        self._unary: dict[str, Any] = {}

    def unary(self, method: Method[Any, Response]) -> Any:
        """A function that makes one attempt of an rpc. It takes bytes: all attempts are equal."""
        if (attempt := self._unary.get(method.path)) is None:
            attempt = self._unary[method.path] = self._new_unary(method)
        return attempt

    def _new_unary(self, method: Method[Any, Any]) -> Any:
        if not self._intercepted:
            return self.grpc_channel.unary_unary(method.path, None, method.response.FromString)
        parse = method.request.FromString
        send = self.grpc_channel.unary_unary(method.path, *_serializers(method))
        # Interceptors see a request as a message.
        return lambda payload, **options: send(parse(payload), **options)

    def server_stream(self, method: Method[Any, Any]) -> Any:
        """A function that starts a stream of responses."""
        return self.grpc_channel.unary_stream(method.path, *_serializers(method))

    def bidi_stream(self, method: Method[Any, Any]) -> Any:
        """A function that starts a stream of requests and one of responses."""
        return self.grpc_channel.stream_stream(method.path, *_serializers(method))

    def begin(self) -> None:
        """Counts a call that starts."""
        self.calls += 1
        if self._waiting_since is None:
            self._waiting_since = monotonic()

    def note_message(self) -> None:
        """Notes that a message was received."""
        self._waiting_since = monotonic()

    def end(self, how: End) -> None:
        """Counts a call that ended."""
        self.calls -= 1
        if how is End.ANSWERED:
            self._waiting_since = monotonic() if self.calls else None

    @property
    def unanswered_s(self) -> float:
        """For how long calls are open without any message received."""
        return 0.0 if self._waiting_since is None else monotonic() - self._waiting_since

    @property
    def age_s(self) -> float:
        """The time since it was made."""
        return monotonic() - self._made_at


def _serializers(method: Method[Any, Any]) -> tuple[Any, Any]:
    return method.request.SerializeToString, method.response.FromString


class Connections:
    """A fixed number of connections to one server."""

    def __init__(self, wiring: Wiring, count: int) -> None:
        self._wiring = wiring
        self._current = deque(Connection(wiring) for _ in range(count))
        self._replaced: set[Connection] = set()  # that still have calls in flight
        self._closing: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def grpc_channels(self) -> list[grpc.aio.Channel]:
        """The gRPC channels in use."""
        return [connection.grpc_channel for connection in self._current]

    def borrow(self) -> Connection:
        """The connection with the fewest calls, which now has one more."""
        self._current.rotate()  # round-robin among those that are equally busy
        connection = min(self._current, key=_calls)
        connection.begin()
        return connection

    def release(self, connection: Connection, end: End, *, is_silent: bool | None = None) -> None:
        """Counts a call that ended, and replaces the connection if it seems to be dead.

        A stream says whether it was silent for too long: a quiet one is owed nothing.
        """
        connection.end(end)
        if is_silent is None:
            is_silent = connection.unanswered_s >= PING_AFTER_S
        if end is not End.ANSWERED and (is_silent or _is_broken(connection, end)):
            self._replace(connection)
        if not connection.calls and connection in self._replaced:
            self._replaced.discard(connection)
            closing = asyncio.ensure_future(connection.grpc_channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _replace(self, connection: Connection) -> None:
        if connection in self._current and not self._closed:
            self._current[self._current.index(connection)] = Connection(self._wiring)
            self._replaced.add(connection)

    async def close(self) -> None:
        """End the calls in flight and close the connections."""
        self._closed = True
        open_ones = [*self._current, *self._replaced]
        await asyncio.gather(*(each.grpc_channel.close() for each in open_ones), *self._closing)


def _calls(connection: Connection) -> int:
    return connection.calls


def _is_broken(connection: Connection, end: End) -> bool:
    """Whether a call was lost on a connection that gRPC takes for ready.

    One that gRPC's core knows to be broken is reconnected by it, with its own back-off.
    """
    is_ready = connection.grpc_channel.get_state() is grpc.ChannelConnectivity.READY
    return end is End.LOST and is_ready and connection.age_s >= RENEWED_AFTER_S
