"""The client: one connection, and the services on it."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import grpc
from grpc import ChannelConnectivity as Connectivity

from giftpay.channel import Channel
from giftpay.errors import Unavailable
from giftpay.gift_stream import Gifts, send_gifts
from giftpay.services import Services
from giftpay.v1 import Entry, GiftOutcome, Unit
from giftpay.watch import watch_entries

DEFAULT_TARGET = "localhost:50051"
TIMEOUT_S = 10.0
WINDOW = 1000  # as many undecided gifts as the server reads of one stream

OPTIONS = (
    # A server that comes back is met within a second; gRPC alone waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # What was sent and not acknowledged for 10 s ends the connection, where a host has gone without
    # a word. (gRPC sets TCP_USER_TIMEOUT only with keepalive on; no server objects to 5.5 minutes.)
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class Client(Services):
    """The stubs of giftpay.v1 over one connection; made by `giftpay.connect`.

    Each rpc is a coroutine: nothing is sent before it is awaited. Streams are async iterators.
    """

    def __init__(self, channel: Channel) -> None:
        # It has all that a generated stub asks of its channel.
        super().__init__(cast(grpc.aio.Channel, channel))
        self._timeout = channel.timeout

    def watch(
        self, owner_id: str, unit: Unit.ValueType, *, after_seq: int = 0
    ) -> AsyncGenerator[Entry]:
        """Every entry of an account after `after_seq`, once and in order, past and to come.

        A stream that is lost or silent is resumed, for as long as the caller iterates.
        """
        return watch_entries(self.wallets, owner_id, unit, after_seq)

    def send_gifts(self, gifts: Gifts, *, window: int = WINDOW) -> AsyncGenerator[GiftOutcome]:
        """What became of each gift, in the order of the decisions, matched by key.

        Takes gifts from the iterable as long as fewer than `window` are under way or not yet
        consumed here. A lost stream is replaced and what is undecided sent again under the same
        keys; OutcomeUnknown, with those keys, if nothing is decided for the client's timeout.
        Whoever stops iterating takes back nothing that is under way.
        """
        return send_gifts(self.gifts, gifts, window=window, patience_s=self._timeout)


def connect(
    target: str | None = None,
    *,
    timeout: float = TIMEOUT_S,
    credentials: grpc.ChannelCredentials | None = None,
) -> AbstractAsyncContextManager[Client]:
    """A client of the server at `target`: host:port, else GIFTPAY_TARGET, else localhost:50051.

    A call has `timeout` seconds for all its attempts, unless it says otherwise. Plain text without
    `credentials`. Raises Unavailable if no server answers at the target.
    """
    address = target or os.environ.get("GIFTPAY_TARGET") or DEFAULT_TARGET
    return _connected(address, credentials, timeout_s=timeout)


@asynccontextmanager
async def _connected(
    target: str, credentials: grpc.ChannelCredentials | None, *, timeout_s: float
) -> AsyncIterator[Client]:
    if credentials is None:
        wire = grpc.aio.insecure_channel(target, options=OPTIONS)
    else:
        wire = grpc.aio.secure_channel(target, credentials, options=OPTIONS)
    channel = Channel(wire, timeout=timeout_s)
    try:
        await _reach(wire, target, timeout_s)
        yield Client(channel)
    finally:
        await channel.close()


async def _reach(wire: grpc.aio.Channel, target: str, timeout_s: float) -> None:
    """Wait for the server no longer than it takes to know that there is none."""
    message = f"No giftpay server answers at {target}."
    try:
        async with asyncio.timeout(timeout_s):
            while (state := wire.get_state(try_to_connect=True)) is not Connectivity.READY:
                if state is Connectivity.TRANSIENT_FAILURE:
                    raise Unavailable(message, code=grpc.StatusCode.UNAVAILABLE)
                await wire.wait_for_state_change(state)
    except TimeoutError:
        raise Unavailable(message, code=grpc.StatusCode.DEADLINE_EXCEEDED) from None
