"""Gifts of concurrent callers, and scripted servers that answer batches of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import giftpay
from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    Gift,
    GiftOutcome,
    Refusal,
    SendGiftRequest,
    SendGiftResponse,
)
from grpc import StatusCode

from tests.client.scripted import Context, refusal_status

OVERLOADED = refusal_status(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", queued=8192)


def gifts(count: int) -> list[SendGiftRequest]:
    return [SendGiftRequest(idempotency_key=f"k{n}", count=n) for n in range(1, count + 1)]


def sent(request: BatchSendGiftsRequest) -> BatchSendGiftsResponse:
    """An answer to which all gifts were sent."""
    outcomes = [
        GiftOutcome(idempotency_key=gift.idempotency_key, gift=Gift(count=gift.count))
        for gift in request.gifts
    ]
    return BatchSendGiftsResponse(outcomes=outcomes)


async def batch(request: BatchSendGiftsRequest, _: Context) -> BatchSendGiftsResponse:
    return sent(request)


async def single(request: SendGiftRequest, _: Context) -> SendGiftResponse:
    return SendGiftResponse(gift=Gift(count=request.count))


async def hang(_: object, __: Context) -> None:
    await asyncio.sleep(30)


def all_but(
    number: int, refusal: Refusal
) -> Callable[[BatchSendGiftsRequest, Context], Awaitable[BatchSendGiftsResponse]]:
    """All gifts were sent but one."""

    async def play(request: BatchSendGiftsRequest, _: Context) -> BatchSendGiftsResponse:
        response = sent(request)
        response.outcomes[number].refusal.CopyFrom(refusal)
        return response

    return play


def calls(
    client: giftpay.Client, sending: Sequence[SendGiftRequest]
) -> list[asyncio.Task[SendGiftResponse]]:
    return [asyncio.ensure_future(client.gifts.SendGift(gift)) for gift in sending]


async def ends(
    client: giftpay.Client, sending: Sequence[SendGiftRequest]
) -> list[int | giftpay.GiftpayError]:
    """The results of concurrent calls: the count of the gift that was sent, or the error."""
    return [await _end(call) for call in calls(client, sending)]


async def _end(call: Awaitable[SendGiftResponse]) -> int | giftpay.GiftpayError:
    try:
        return (await call).gift.count
    except giftpay.GiftpayError as error:
        return error


class Gate:
    """Holds a call until the test opens the gate."""

    def __init__(self, play: Callable[..., Awaitable[object]]) -> None:
        self.entered, self.opened = asyncio.Event(), asyncio.Event()
        self._play = play

    async def __call__(self, request: object, context: Context) -> object:
        self.entered.set()
        await self.opened.wait()
        return await self._play(request, context)
