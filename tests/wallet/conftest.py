"""Movements to read back, and a server with short time-outs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import giftpay
import grpc.aio
import pytest
from giftpay.channel import Channel
from giftpay.client import Client
from giftpay.connections import OPTIONS, Connections, Wiring
from giftpay.v1 import (
    AdjustBalanceRequest,
    BatchSendGiftsRequest,
    Entry,
    SendGiftRequest,
    Unit,
    wallet_service_pb2,
)
from giftpay_server.app import Running
from giftpay_server.config import CallLimits
from giftpay_server.journal.feed import Feed
from giftpay_server.registration import Parts
from giftpay_server.wallet.service import WalletService
from giftpay_server.wire.admission import Admission
from giftpay_server.wire.guard import handlers
from giftpay_server.wire.identity import local_callers

HEARTBEAT_S = 0.1
WRITE_MAX_S = 1.0


async def adjust(client: Client, owner_id: str, unit: Unit.ValueType, amount: int) -> Entry:
    """Moves one balance by itself."""
    request = AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason="test")
    return (await client.admin.AdjustBalance(request)).entry


async def give(
    client: Client, sender_id: str, recipient_id: str, *, messages: Sequence[str]
) -> list[str]:
    """Sends a rose with each of the messages, in order; returns the transactions' ids."""
    gifts = [
        SendGiftRequest(
            idempotency_key=giftpay.new_key(),
            sender_id=sender_id,
            recipient_id=recipient_id,
            gift_id="rose",
            message=each,
        )
        for each in messages
    ]
    answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    return [outcome.gift.transaction_id for outcome in answer.outcomes]


@dataclass(frozen=True)
class Impatient:
    """A client with a narrow flow-control window, and its server's feed, which no journal wakes."""

    client: Client
    feed: Feed


@asynccontextmanager
async def impatient_server(
    parts: Parts, feed: Feed, *, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[str]:
    wallets = WalletService(
        parts.journal,
        parts.pool,
        feed,
        parts.clock,
        parts.registry,
        parts.reads,
        heartbeat_s=heartbeat_s,
        write_max_s=WRITE_MAX_S,
    )
    server = grpc.aio.server()
    service = wallet_service_pb2.DESCRIPTOR.services_by_name["WalletService"]
    server.add_generic_rpc_handlers(
        (handlers(wallets, service, local_callers(frozenset()), Admission(CallLimits())),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        feed.close()
        await server.stop(5)


@pytest.fixture(scope="session")
async def impatient(server: Running) -> AsyncIterator[Impatient]:
    """Heartbeats every 0.1 s, and a second for a reader to take a message."""
    feed = Feed()
    # Without the option gRPC widens a quick reader's window to megabytes.
    narrow = (*OPTIONS, ("grpc.http2.bdp_probe", 0))
    async with (
        impatient_server(server.parts, feed) as address,
        aclosing(Channel(Connections(Wiring(address, options=narrow), 1), timeout=10)) as channel,
    ):
        yield Impatient(Client(channel), feed)
