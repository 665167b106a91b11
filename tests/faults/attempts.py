"""Single attempts without the client's retries, and checks of a server's health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import giftpay
import grpc
from giftpay.status import call_error
from giftpay.v1 import (
    GetWalletRequest,
    GiftServiceStub,
    SendGiftRequest,
    WalletServiceStub,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

POLL_S = 0.1


async def attempt(
    address: str, request: SendGiftRequest | GetWalletRequest, *, timeout_s: float
) -> giftpay.GiftpayError | None:
    """The error of one attempt; None if it was answered."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            if isinstance(request, SendGiftRequest):
                await GiftServiceStub(channel).SendGift(request, timeout=timeout_s)
            else:
                await WalletServiceStub(channel).GetWallet(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return call_error(error, None)
    return None


def assert_unavailable(error: giftpay.GiftpayError | None) -> None:
    """The error has a reason of the server, and the same key may be sent again."""
    assert error is not None
    assert (error.code, error.pinned) == (grpc.StatusCode.UNAVAILABLE, False), repr(error)
    assert error.reason, repr(error)


async def is_ready(address: str) -> bool:
    """Whether the health service reports the whole server as serving."""
    async with grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=""), timeout=10)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(POLL_S)
