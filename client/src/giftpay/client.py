"""The client, and how it connects to a server."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc

from giftpay.channel import Channel
from giftpay.coalescing import coalesced
from giftpay.connections import Connections, Wiring
from giftpay.forks import check_process
from giftpay.gift_stream import Gifts, send_gifts
from giftpay.limits import Metadata, MetadataLike, checked_count, checked_metadata, checked_seconds
from giftpay.rpcs import Rpcs
from giftpay.server_probe import wait_for_server
from giftpay.services import Services
from giftpay.target import DEFAULT_TARGET, checked_target
from giftpay.v1 import Entry, GiftOutcome, Unit
from giftpay.watch import watch_entries

TIMEOUT_S = 10.0
WINDOW = 1000  # the undecided gifts that the server accepts on one stream
WINDOW_MAX = 100_000
CONNECTIONS_MAX = 64  # as many as the server has processes


class Client(Services):
    """The services of giftpay.v1 over one or more connections; made by `giftpay.connect`."""

    def __init__(self, channel: Channel, *, coalesce: bool = False) -> None:
        super().__init__(Rpcs(channel))
        if coalesce:
            self.gifts.SendGift = coalesced(channel, self.gifts)
        self._timeout = channel.timeout

    def watch(
        self, owner_id: str, unit: Unit.ValueType, *, after_seq: int = 0
    ) -> AsyncGenerator[Entry]:
        """Every entry of an account after `after_seq`, once and in order, existing and new.

        A stream that is lost, or silent for too long, is resumed as long as the caller iterates.
        """
        return watch_entries(self.wallets.WatchEntries, owner_id, unit, after_seq)

    def send_gifts(self, gifts: Gifts, *, window: int = WINDOW) -> AsyncGenerator[GiftOutcome]:
        """The outcome of each gift, in the order of the decisions; match them by key.

        Takes gifts from the iterable as long as fewer than `window` are in flight or not yet
        consumed here. If a stream is lost, undecided gifts are sent again on a new one, with the
        same keys. Raises OutcomeUnknown with those keys if nothing is decided for the client's
        timeout. Gifts in flight are not taken back when the caller stops iterating.
        """
        checked_count("window", window, WINDOW_MAX)
        return send_gifts(self.gifts.StreamGifts, gifts, window=window, timeout_s=self._timeout)


def connect(
    target: str | None = None,
    *,
    timeout: float = TIMEOUT_S,
    credentials: grpc.ChannelCredentials | None = None,
    connections: int = 1,
    wait: float = 0.0,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    metadata: MetadataLike = (),
    coalesce: bool = False,
) -> AbstractAsyncContextManager[Client]:
    """A client of the server at `target`: host:port, else GIFTPAY_TARGET, else localhost:50051.

    `timeout` is the time in seconds for all attempts of a call that sets none. Without
    `credentials` the connection is plain text. There are `connections` connections; each call uses
    the one with the fewest calls. `interceptors` are grpc.aio's and see every attempt, and before
    them a health check, whose request is bytes. `metadata` are sent with every call. With
    `coalesce`, concurrent SendGift calls are sent together as one BatchSendGifts.

    Raises Unavailable, with the cause, if no giftpay server answers at the target within `wait`
    seconds.
    """
    check_process()
    return _connected(
        Wiring(_target(target), credentials, tuple(interceptors)),
        count=checked_count("connections", connections, CONNECTIONS_MAX),
        timeout_s=checked_seconds("timeout", timeout),
        wait_s=checked_seconds("wait", wait, zero=True),
        metadata=checked_metadata(metadata),
        coalesce=coalesce,
    )


def _target(target: str | None) -> str:
    if target is not None:
        return checked_target(target)
    if named := os.environ.get("GIFTPAY_TARGET"):
        return checked_target(named, "GIFTPAY_TARGET")
    return DEFAULT_TARGET


@asynccontextmanager
async def _connected(
    wiring: Wiring,
    *,
    count: int,
    timeout_s: float,
    wait_s: float,
    metadata: Metadata,
    coalesce: bool,
) -> AsyncIterator[Client]:
    connections = Connections(wiring, count)
    channel = Channel(connections, timeout=timeout_s, metadata=metadata)
    try:
        probes = [
            wait_for_server(
                grpc_channel, wiring.target, timeout_s=timeout_s, wait_s=wait_s, metadata=metadata
            )
            for grpc_channel in connections.grpc_channels
        ]
        for failure in await asyncio.gather(*probes, return_exceptions=True):
            if failure is not None:
                raise failure
        yield Client(channel, coalesce=coalesce)
    finally:
        await channel.aclose()
