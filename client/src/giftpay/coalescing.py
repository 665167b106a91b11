"""Coalescing: SendGift calls that are under way together travel as one BatchSendGifts.

A call makes its first attempt in a batch and every later one alone: a gift that is in trouble
delays those beside it once.
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

UNDER_WAY_MAX = 1  # on each connection: more batches are smaller ones, and cost more


def coalesced(channel: Channel, gifts: Gifts) -> "CoalescedSendGift":
    """SendGift of a service whose rpcs are the channel's."""
    alone = cast(UnaryRpc[SendGiftRequest, SendGiftResponse], gifts.SendGift)
    batch = cast(UnaryRpc[BatchSendGiftsRequest, BatchSendGiftsResponse], gifts.BatchSendGifts)
    return CoalescedSendGift(channel, alone, batch)


class CoalescedSendGift:
    """SendGift, in batches where that makes no difference to its caller."""

    def __init__(
        self,
        channel: Channel,
        alone: UnaryRpc[SendGiftRequest, SendGiftResponse],
        batch: UnaryRpc[BatchSendGiftsRequest, BatchSendGiftsResponse],
    ) -> None:
        self._alone, self._batch = alone, batch
        self._timeout_s, self._metadata = channel.timeout, channel.metadata_of(())
        under_way_max = UNDER_WAY_MAX * len(channel.connections.wires)
        self._batches = GiftBatches(self._send, under_way_max=under_way_max)
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
