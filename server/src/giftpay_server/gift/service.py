"""GiftService: parse, record, answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    GetGiftRequest,
    GetGiftResponse,
    ListGiftsReceivedRequest,
    ListGiftsReceivedResponse,
    ListGiftsSentRequest,
    ListGiftsSentResponse,
    SendGiftRequest,
    SendGiftResponse,
    StreamGiftsRequest,
    StreamGiftsResponse,
)

from giftpay_server.gift.batches import send_gifts, stream_gifts
from giftpay_server.gift.messages import fill_gift, gift_command, sent_gift
from giftpay_server.gift.rules import not_found
from giftpay_server.gift.store import SentGift, list_received, list_sent, read_gift
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.replay import personal_value
from giftpay_server.postgres.pool import Pool
from giftpay_server.wire.commands import ask, carry_out
from giftpay_server.wire.identity import Call
from giftpay_server.wire.lane import ReadLane
from giftpay_server.wire.pages import NUMBER_MAX, Listing, open_page, read_page
from giftpay_server.wire.refusals import RefusedError


class GiftService:
    """Implements giftpay.v1.GiftService."""

    def __init__(self, journal: Journal, pool: Pool, reads: ReadLane) -> None:
        self._journal = journal
        self._pool = pool
        self._reads = reads

    async def SendGift(self, request: SendGiftRequest, call: Call) -> SendGiftResponse:
        asked = ask(request, call)
        command = gift_command(asked)
        outcome = await carry_out(self._journal, command)
        response = SendGiftResponse(replayed=outcome.replayed)
        message = personal_value(command, outcome.transaction)
        fill_gift(response.gift, asked.request, outcome.transaction, message=message)
        return response

    async def BatchSendGifts(
        self, request: BatchSendGiftsRequest, call: Call
    ) -> BatchSendGiftsResponse:
        response = BatchSendGiftsResponse()
        await send_gifts(self._journal, request.gifts, call, response.outcomes)
        return response

    async def StreamGifts(
        self, requests: AsyncIterator[StreamGiftsRequest], call: Call
    ) -> AsyncIterator[StreamGiftsResponse]:
        async with aclosing(stream_gifts(self._journal, requests, call)) as decided:
            async for response in decided:
                yield response

    async def GetGift(self, request: GetGiftRequest, call: Call) -> GetGiftResponse:
        sent = await read_gift(self._pool, request.transaction_id)
        if sent is None:
            raise RefusedError(not_found(request.transaction_id))
        return GetGiftResponse(gift=sent_gift(sent))

    async def ListGiftsReceived(self, request: ListGiftsReceivedRequest, call: Call) -> bytes:
        owner_id, context = request.owner_id, request.context
        listing = Listing(
            read=lambda before, limit: list_received(
                self._pool, owner_id, context=context, before=before, limit=limit
            ),
            place=_place,
            show=lambda found: ListGiftsReceivedResponse(gifts=map(sent_gift, found)),
        )
        page = open_page(request)
        return await read_page(self._reads, page, listing, first=page.number(first=NUMBER_MAX))

    async def ListGiftsSent(self, request: ListGiftsSentRequest, call: Call) -> bytes:
        listing = Listing(
            read=lambda before, limit: list_sent(
                self._pool, request.owner_id, before=before, limit=limit
            ),
            place=_place,
            show=lambda found: ListGiftsSentResponse(gifts=map(sent_gift, found)),
        )
        page = open_page(request)
        return await read_page(self._reads, page, listing, first=page.number(first=NUMBER_MAX))


def _place(sent: SentGift) -> int:
    return sent.seq
