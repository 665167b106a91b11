"""Core options have their effect, seen on raw frames; Core ignores an unknown option silently."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import giftpay
import grpc
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_DIAMOND,
    BatchSendGiftsRequest,
    ListEntriesRequest,
    SendGiftRequest,
    WatchEntriesRequest,
)
from giftpay_server.app import Running
from google.protobuf.message import Message

from benchmarks.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    WINDOW_DEFAULT,
    first_headers,
    frame,
)
from tests.conftest import OpenWallet
from tests.wire.conftest import NARROW, SEND_GIFT, WATCH_ENTRIES, Narrow, raw_connection

LIST_ENTRIES = "/giftpay.v1.WalletService/ListEntries"


async def test_nothing_is_inflated(narrow: Narrow) -> None:
    message = SendGiftRequest(message="x" * 100).SerializeToString()
    method: Any = narrow.channel.unary_unary(SEND_GIFT)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(message, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_connection_has_so_many_calls_under_way(narrow: Narrow) -> None:
    raw = await raw_connection(narrow.address)
    for _ in range(NARROW.connection_calls_max + 1):
        raw.connection.open()
    async with asyncio.timeout(5):
        assert await raw.statuses.get() == -1
    raw.connection.close()


async def test_one_connection_too_many_is_closed(narrow: Narrow) -> None:
    host, _, port = narrow.address.rpartition(":")
    opened = [
        await asyncio.open_connection(host, int(port)) for _ in range(NARROW.connections_max + 1)
    ]
    async with asyncio.timeout(5):
        assert b"" in [await reader.read(1) for reader, _ in opened]
    for _, writer in opened:
        writer.close()


async def test_a_burst_of_pings_is_answered_once_each_and_does_no_harm(narrow: Narrow) -> None:
    """Core's own punishment, a GOAWAY for each ping, costs the server 4 kB a ping."""
    host, _, port = narrow.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(PING, 0, 0, bytes(8)) * 1_000)
    answered = 0
    async with asyncio.timeout(5):
        while answered < 1_000:
            length_and_kind, _, _ = FRAME_HEADER.unpack(await reader.readexactly(9))
            await reader.readexactly(length_and_kind >> 8)
            assert length_and_kind & 0xFF != GOAWAY
            answered += length_and_kind & 0xFF == PING
    writer.close()


async def test_who_leaves_while_it_is_answered_is_no_defect(
    server: Running, client: Client, open_wallet: OpenWallet, caplog: pytest.LogCaptureFixture
) -> None:
    sender_id, recipient_id = await open_wallet(coins=1_000), await open_wallet()
    gifts = [
        SendGiftRequest(
            idempotency_key=giftpay.new_key(),
            sender_id=sender_id,
            recipient_id=recipient_id,
            gift_id="rose",
        )
        for _ in range(1_000)
    ]
    await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    watched = WatchEntriesRequest(owner_id=recipient_id, unit=UNIT_DIAMOND, after_seq=0)
    listed = ListEntriesRequest(owner_id=recipient_id, unit=UNIT_DIAMOND, page_size=1_000)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await leave_half_read(server.address, WATCH_ENTRIES, watched)
            await leave_half_read(server.address, LIST_ENTRIES, listed)
        answering = [task for task in asyncio.all_tasks() if "HandleExceptions" in task.get_name()]
        assert answering  # grpc.aio's own, of this process
        async with asyncio.timeout(5):
            await asyncio.wait(answering)
    assert not caplog.records


async def leave_half_read(address: str, method: str, request: Message) -> None:
    """Asks for more than HTTP/2's first window holds, and cuts the connection once that is full."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    payload = request.SerializeToString()
    message = b"\0" + len(payload).to_bytes(4, "big") + payload
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
    writer.write(frame(HEADERS, END_HEADERS, 1, first_headers(method)))
    writer.write(frame(DATA, END_STREAM, 1, message))
    async with asyncio.timeout(5):
        await reader.readexactly(WINDOW_DEFAULT)
    writer.transport.abort()
