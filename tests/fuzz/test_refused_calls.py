"""A connection whose calls are all refused stays usable, and each call is released."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from giftpay.v1 import GetWalletRequest
from google.protobuf.message import Message
from grpc import StatusCode, aio
from grpc_health.v1.health_pb2 import HealthCheckRequest

from tests.stories.processes import server_process

CALLS = 1_000  # more than a connection may have in flight
GET_WALLET = "/giftpay.v1.WalletService/GetWallet"
HEALTH = "/grpc.health.v1.Health/Check"


@pytest.fixture(scope="module")
async def address(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    async with server_process(DATABASE_URL=await new_database()) as server:
        yield server.address


@pytest.mark.parametrize(
    ("path", "request_", "code"),
    [
        (GET_WALLET, GetWalletRequest(owner_id="nobody"), StatusCode.NOT_FOUND),
        (GET_WALLET, GetWalletRequest(owner_id="no id"), StatusCode.INVALID_ARGUMENT),
        (HEALTH, HealthCheckRequest(service="nothing"), StatusCode.NOT_FOUND),
    ],
)
async def test_a_thousand_refusals_on_one_connection_are_refusals_to_the_end(
    address: str, path: str, request_: Message, code: StatusCode
) -> None:
    async with aio.insecure_channel(address) as channel:
        rpc: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        payload = request_.SerializeToString()
        codes = [await rpc(payload, timeout=10).code() for _ in range(CALLS)]
    assert codes == [code] * CALLS
