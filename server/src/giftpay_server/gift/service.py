"""GiftService: parse, record, answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from giftpay.v1 import (
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    GetGiftRequest,
    GetGiftResponse,
    Gift,
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
from giftpay_server.wire.pages import NUMBER_MAX, Page, open_page
from giftpay_server.wire.refusals import RefusedError


class GiftService:
    """Implements giftpay.v1.GiftService."""

    def __init__(self, journal: Journal, pool: Pool) -> None:
        self._journal = journal
        self._pool = pool

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

    async def ListGiftsReceived(
        self, request: ListGiftsReceivedRequest, call: Call
    ) -> ListGiftsReceivedResponse:
        page = open_page(request)
        found = await list_received(
            self._pool,
            request.owner_id,
            context=request.context,
            before=page.number(first=NUMBER_MAX),
            limit=page.limit,
        )
        gifts, token = _page(page, found)
        return ListGiftsReceivedResponse(gifts=gifts, next_page_token=token)

    async def ListGiftsSent(
        self, request: ListGiftsSentRequest, call: Call
    ) -> ListGiftsSentResponse:
        page = open_page(request)
        found = await list_sent(
            self._pool,
            request.owner_id,
            before=page.number(first=NUMBER_MAX),
            limit=page.limit,
        )
        gifts, token = _page(page, found)
        return ListGiftsSentResponse(gifts=gifts, next_page_token=token)


def _page(page: Page, found: Sequence[SentGift]) -> tuple[list[Gift], str]:
    shown, token = page.cut(found, lambda sent: [sent.seq])
    return [sent_gift(sent) for sent in shown], token
