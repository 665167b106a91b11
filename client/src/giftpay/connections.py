"""The TCP connections of a client: a call goes to the least busy; a dead one is replaced."""

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

RENEWED_AFTER_S = 1.0  # so that a server in trouble is not met with a connection a call

OPTIONS = (
    *CLIENT_OPTIONS,
    # Otherwise all channels of a process to one target share a connection, a dead one included.
    ("grpc.use_local_subchannel_pool", 1),
    # A server that comes back is met within a second; gRPC alone waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Which is also how long one attempt to connect may take: as long as to find a dead connection.
    ("grpc.min_reconnect_backoff_ms", int(PING_AFTER_S * 1000)),
    ("grpc.max_receive_message_length", ANSWER_MAX_BYTES),
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """An rpc as the wire names it: /service/rpc."""

    path: str
    request: type[Request]
    response: type[Response]

    @property
    def name(self) -> str:
        """The rpc alone, for a sentence."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Wiring:
    """How each connection of a client is made."""

    target: str
    credentials: grpc.ChannelCredentials | None = None
    interceptors: Sequence[grpc.aio.ClientInterceptor] = ()
    options: Sequence[tuple[str, int]] = OPTIONS

    def new(self) -> grpc.aio.Channel:
        """A channel of gRPC, which is one connection, not made before it is needed."""
        # A proxy of the environment is asked for other machines only.
        through = ("grpc.enable_http_proxy", int(not is_on_this_machine(self.target)))
        options, interceptors = [*self.options, through], list(self.interceptors)
        if self.credentials is None:
            return grpc.aio.insecure_channel(
                self.target, options=options, interceptors=interceptors
            )
        return grpc.aio.secure_channel(
            self.target, self.credentials, options=options, interceptors=interceptors
        )


class Connection:
    """One connection, and whether it owes an answer."""

    def __init__(self, wiring: Wiring) -> None:
        self.wire = wiring.new()
        self.calls = 0
        self._intercepted = bool(wiring.interceptors)
        self._made_at = monotonic()
        self._owing_since: float | None = None
        self._unary: dict[str, Any] = {}

    def unary(self, method: Method[Any, Response]) -> Any:
        """Makes one attempt of an rpc; it takes bytes, so that every attempt sends the same."""
        if (attempt := self._unary.get(method.path)) is None:
            attempt = self._unary[method.path] = self._new_unary(method)
        return attempt

    def _new_unary(self, method: Method[Any, Any]) -> Any:
        if not self._intercepted:
            return self.wire.unary_unary(method.path, None, method.response.FromString)
        parse = method.request.FromString
        send = self.wire.unary_unary(method.path, *_serializers(method))
        # Who intercepts a call sees its request as a message.
        return lambda payload, **options: send(parse(payload), **options)

    def server_stream(self, method: Method[Any, Any]) -> Any:
        """Starts a stream of answers."""
        return self.wire.unary_stream(method.path, *_serializers(method))

    def bidi_stream(self, method: Method[Any, Any]) -> Any:
        """Starts a stream of requests and one of answers."""
        return self.wire.stream_stream(method.path, *_serializers(method))

    def begin(self) -> None:
        """A call is made on it."""
        self.calls += 1
        if self._owing_since is None:
            self._owing_since = monotonic()

    def heard(self) -> None:
        """Something came."""
        self._owing_since = monotonic()

    def end(self, how: End) -> None:
        """A call has ended."""
        self.calls -= 1
        if how is End.ANSWERED:
            self._owing_since = monotonic() if self.calls else None

    @property
    def silent_s(self) -> float:
        """How long it has owed an answer of which nothing came."""
        return 0.0 if self._owing_since is None else monotonic() - self._owing_since

    @property
    def age_s(self) -> float:
        """How long it has been there."""
        return monotonic() - self._made_at


def _serializers(method: Method[Any, Any]) -> tuple[Any, Any]:
    return method.request.SerializeToString, method.response.FromString


class Connections:
    """So many connections to one server."""

    def __init__(self, wiring: Wiring, count: int) -> None:
        self._wiring = wiring
        self._current = deque(Connection(wiring) for _ in range(count))
        self._replaced: set[Connection] = set()  # with calls under way
        self._closing: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def wires(self) -> list[grpc.aio.Channel]:
        """The channels of gRPC that are in use."""
        return [connection.wire for connection in self._current]

    def borrow(self) -> Connection:
        """The least busy connection, which has one call more from now on."""
        self._current.rotate()  # those that are equally busy take turns
        connection = min(self._current, key=_calls)
        connection.begin()
        return connection

    def release(self, connection: Connection, end: End) -> None:
        """The call has ended on it; one that proved to be dead is replaced."""
        connection.end(end)
        if end is not End.ANSWERED and _is_doubtful(connection, end):
            self._replace(connection)
        if not connection.calls and connection in self._replaced:
            self._replaced.discard(connection)
            closing = asyncio.ensure_future(connection.wire.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _replace(self, connection: Connection) -> None:
        if connection in self._current and not self._closed:
            self._current[self._current.index(connection)] = Connection(self._wiring)
            self._replaced.add(connection)

    async def close(self) -> None:
        """End the calls under way and the connections."""
        self._closed = True
        open_ones = [*self._current, *self._replaced]
        await asyncio.gather(*(each.wire.close() for each in open_ones), *self._closing)


def _calls(connection: Connection) -> int:
    return connection.calls


def _is_doubtful(connection: Connection, end: End) -> bool:
    """Whether a new connection is better, after a call without an answer.

    One that Core knows to be broken is made anew by itself, with its own back-off.
    """
    if connection.silent_s >= PING_AFTER_S:
        return True
    believed = connection.wire.get_state() is grpc.ChannelConnectivity.READY
    return end is End.LOST and believed and connection.age_s >= RENEWED_AFTER_S
