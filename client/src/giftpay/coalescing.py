"""Coalescing: concurrent SendGift calls are sent together as one BatchSendGifts.

A call makes its first attempt in a batch and every later one alone: so a gift that fails delays
the others of its batch only once.
"""

from collections.abc import Coroutine
from functools import partial
from itertools import chain, repeat
from typing import Any, cast

from giftpay.channel import Channel
from giftpay.gift_batches import GiftBatches
from giftpay.limits import MetadataLike
from giftpay.services import Gifts
from giftpay.unary import UnaryRpc
from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    SendGiftRequest,
    SendGiftResponse,
)

IN_FLIGHT_MAX = 1  # batches on each connection; more would be smaller ones, which cost more


def coalesced(channel: Channel, gifts: Gifts) -> "CoalescedSendGift":
    """A coalescing SendGift, in place of that of a service."""
    alone = cast(UnaryRpc[SendGiftRequest, SendGiftResponse], gifts.SendGift)
    batch = cast(UnaryRpc[BatchSendGiftsRequest, BatchSendGiftsResponse], gifts.BatchSendGifts)
    return CoalescedSendGift(channel, alone, batch)


class CoalescedSendGift:
    """Sends a gift in a batch if that makes no difference to its caller, else alone."""

    def __init__(
        self,
        channel: Channel,
        alone: UnaryRpc[SendGiftRequest, SendGiftResponse],
        batch: UnaryRpc[BatchSendGiftsRequest, BatchSendGiftsResponse],
    ) -> None:
        self._alone, self._batch = alone, batch
        self._timeout_s, self._metadata = channel.timeout, channel.metadata_of(())
        in_flight_max = IN_FLIGHT_MAX * len(channel.connections.grpc_channels)
        self._batches = GiftBatches(self._send, in_flight_max=in_flight_max)
        channel.open_ended.add(self._batches)

    def __call__(
        self,
        request: SendGiftRequest,
        *,
        timeout: float | None = None,
        metadata: MetadataLike = (),
    ) -> Coroutine[Any, Any, SendGiftResponse]:
        if timeout is not None or metadata or not _may_join(request):
            return self._alone(request, timeout=timeout, metadata=metadata)
        payload, keys = self._alone.prepare(request)
        alone = partial(self._alone.attempt, payload, keys, self._metadata)
        first = partial(self._batches.attempt, payload, keys or (), alone)
        return self._alone.answer(chain((first,), repeat(alone)), keys, self._timeout_s)

    async def _send(self, payload: bytes, timeout_s: float) -> BatchSendGiftsResponse:
        return await self._batch.attempt(payload, (), self._metadata, timeout_s)


def _may_join(request: object) -> bool:
    return isinstance(request, SendGiftRequest) and not request.validate_only
