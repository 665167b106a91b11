"""A defect of ours, and bytes that are no message: the caller learns no more than it should."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import giftpay
import grpc
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    BatchSendGiftsRequest,
    GetGiftRequest,
    GiftOutcome,
    SendGiftRequest,
    StreamGiftsRequest,
)
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from tests.stories.wallets import apply_catalog, balances, open_wallet

SERVICES = (
    "WalletService",
    "CatalogService",
    "TopUpService",
    "GiftService",
    "RedemptionService",
    "AdminService",
)
RPCS = [
    method
    for name in SERVICES
    for method in Default().FindServiceByName(f"giftpay.v1.{name}").methods  # type: ignore[no-untyped-call]
]

SPOIL = r"""
    UPDATE transactions SET request = '\xff'::bytea WHERE id = $1
"""


@pytest.fixture(scope="module")
async def database(new_database: Callable[[], Awaitable[str]]) -> str:
    return await new_database()


@pytest.fixture(scope="module")
async def address(database: str) -> AsyncIterator[str]:
    """A server whose books may be spoiled."""
    trusted = frozenset({"local"})
    config = Config(database_url=database, listen="127.0.0.1:0", trusted_callers=trusted)
    async with serving(config) as server:
        yield server.address


@pytest.fixture(scope="module")
async def spoiled_client(address: str) -> AsyncIterator[Client]:
    async with giftpay.connect(address) as client:
        await apply_catalog(client)
        yield client


@pytest.fixture
async def spoiled(spoiled_client: Client, database: str) -> SendGiftRequest:
    """A gift that was sent, and of which the stored request cannot be read any more."""
    client = spoiled_client
    gift = rose(await open_wallet(client, coins=20), await open_wallet(client))
    await client.gifts.SendGift(gift)
    connection = await asyncpg.connect(database)
    await connection.execute(SPOIL, gift.idempotency_key)
    await connection.close()
    return gift


def rose(sender_id: str, recipient_id: str) -> SendGiftRequest:
    key = giftpay.new_key()
    return SendGiftRequest(
        idempotency_key=key, sender_id=sender_id, recipient_id=recipient_id, gift_id="rose"
    )


def assert_logged(incident: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the cause of the incident, which the caller does not get."""
    assert len(incident) == 8
    (record,) = [record for record in caplog.records if incident in record.getMessage()]
    assert "DecodeError" in logging.Formatter().format(record)


@pytest.mark.parametrize("read", [True, False])
async def test_an_unexpected_exception_is_an_incident_and_nothing_else(
    spoiled_client: Client,
    spoiled: SendGiftRequest,
    caplog: pytest.LogCaptureFixture,
    read: bool,
) -> None:
    gifts, key = spoiled_client.gifts, spoiled.idempotency_key
    call = gifts.GetGift(GetGiftRequest(transaction_id=key)) if read else gifts.SendGift(spoiled)
    with pytest.raises(giftpay.Internal) as error:
        await call
    assert error.value.code is grpc.StatusCode.INTERNAL
    assert error.value.metadata == {"incident": error.value.incident}
    assert error.value.message == f"A defect of the server, logged as {error.value.incident}."
    assert_logged(error.value.incident, caplog)


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_incident_in_a_batch_fails_only_its_own_item(
    spoiled_client: Client,
    spoiled: SendGiftRequest,
    caplog: pytest.LogCaptureFixture,
    streamed: bool,
) -> None:
    anna, ben = spoiled.sender_id, spoiled.recipient_id
    gifts = [rose(anna, ben), spoiled, rose(anna, ben)]
    before, incident, after = await sent(spoiled_client, gifts, streamed=streamed)
    assert (before.gift.coins, after.gift.coins) == (1, 1)
    refused = giftpay.refusal_error(incident.refusal)
    assert isinstance(refused, giftpay.Internal)
    assert_logged(refused.incident, caplog)
    assert await balances(spoiled_client, anna) == (17, 0)


async def sent(
    client: Client, gifts: list[SendGiftRequest], *, streamed: bool
) -> list[GiftOutcome]:
    if not streamed:
        answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
        return list(answer.outcomes)

    async def requests() -> AsyncIterator[StreamGiftsRequest]:
        yield StreamGiftsRequest(gifts=gifts)

    return [o async for answer in client.gifts.StreamGifts(requests()) for o in answer.outcomes]


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
async def test_bytes_that_are_no_message_are_an_invalid_argument(
    server: Running, rpc: MethodDescriptor
) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await answered(channel, rpc, b"\xff\xff\xff")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Error" not in (refused.value.details() or "")
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert status is not None
    info = ErrorInfo()
    status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("giftpay", "ERROR_REASON_INVALID_ARGUMENT")


async def answered(channel: Any, rpc: MethodDescriptor, payload: bytes) -> None:
    """Calls an rpc with these bytes and reads what it answers."""
    path = f"/{rpc.containing_service.full_name}/{rpc.name}"
    if rpc.client_streaming:

        async def requests() -> AsyncIterator[bytes]:
            yield payload

        async for _ in channel.stream_stream(path)(requests(), timeout=10):
            pass
    elif rpc.server_streaming:
        async for _ in channel.unary_stream(path)(payload, timeout=10):
            pass
    else:
        await channel.unary_unary(path)(payload, timeout=10)
