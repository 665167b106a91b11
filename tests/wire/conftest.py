"""A server with narrow bounds, and calls that no stub would make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
from giftpay.client import Client, connect
from giftpay.errors import GiftpayError
from giftpay.status import call_error
from giftpay_server.app import Running, serving
from giftpay_server.config import CallLimits, Config

from benchmarks.http2 import Connection

SEND_GIFT = "/giftpay.v1.GiftService/SendGift"
WATCH_ENTRIES = "/giftpay.v1.WalletService/WatchEntries"

NARROW = CallLimits(
    commands_max=2,
    reads_max=1,
    reads_waiting_max=1,
    followers_max=2,
    gift_streams_max=2,
    tool_calls_max=2,
    unsent_max=3,
    request_within_s=0.5,
    connection_calls_max=20,
    connections_max=8,
)


@dataclass(frozen=True)
class Narrow:
    """A server that soon has no room, and ways to call it."""

    client: Client
    channel: grpc.aio.Channel  # for calls that the client would not make
    address: str

    def begin(self, method: str = SEND_GIFT) -> Any:
        """A call whose message is not sent yet."""
        return self.channel.stream_unary(method)()


@pytest.fixture
async def narrow(server: Running, client: Client) -> AsyncIterator[Narrow]:
    """On the database of the shared server, whose client opens wallets."""
    config = Config(
        database_url=server.parts.config.database_url, listen="127.0.0.1:0", call_limits=NARROW
    )
    async with (
        serving(config) as running,
        connect(running.address) as narrow_client,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield Narrow(narrow_client, channel, running.address)


async def refused(call: Awaitable[Any]) -> GiftpayError:
    """What a call that the client did not make is refused with, as the client would say it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return call_error(caught.value, None)


@dataclass
class Raw:
    """A connection of raw frames, and the statuses of its calls; -1 is a reset."""

    connection: Connection
    statuses: asyncio.Queue[int]


async def raw_connection(address: str, method: str = SEND_GIFT) -> Raw:
    """A connection on which the server has answered."""
    statuses: asyncio.Queue[int] = asyncio.Queue()
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(method, lambda _, __, status: statuses.put_nowait(status)),
        host,
        int(port),
    )
    async with asyncio.timeout(5):
        await connection.ready
    return Raw(connection, statuses)
