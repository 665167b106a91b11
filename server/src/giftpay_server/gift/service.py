"""GiftService: parse, record, answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from giftpay.v1 import (
    ERROR_REASON_GIFT_NOT_FOUND,
    BatchSendGiftsRequest,
    BatchSendGiftsResponse,
    GetGiftRequest,
    GetGiftResponse,
    Gift,
    GiftServiceServicer,
    ListGiftsReceivedRequest,
    ListGiftsReceivedResponse,
    ListGiftsSentRequest,
    ListGiftsSentResponse,
    SendGiftRequest,
    SendGiftResponse,
    StreamGiftsRequest,
    StreamGiftsResponse,
)

from giftpay_server.gift.batches import GIFTS_MAX, send_gifts, stream_gifts
from giftpay_server.gift.messages import gift_command, sent_gift, tell_gift
from giftpay_server.gift.store import SentGift, list_received, list_sent, read_gift
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import refuse
from giftpay_server.ledger.replay import personal_value
from giftpay_server.postgres.pool import Pool
from giftpay_server.wire.fields import InvalidArgumentError, valid_context, valid_id, valid_uuid
from giftpay_server.wire.guard import Context
from giftpay_server.wire.identity import LOCAL
from giftpay_server.wire.pages import NUMBER_MAX, Page, open_page
from giftpay_server.wire.refusals import RefusedError, settle


class GiftService(GiftServiceServicer):
    """The gifts' face on the wire."""

    def __init__(self, journal: Journal, pool: Pool) -> None:
        self._journal = journal
        self._pool = pool

    async def SendGift(self, request: SendGiftRequest, context: Context) -> SendGiftResponse:
        decide = self._journal.preview if request.validate_only else self._journal.record
        command = gift_command(request, caller=LOCAL)
        outcome = settle(await decide(command))
        response = SendGiftResponse(replayed=outcome.replayed)
        tell_gift(
            response.gift,
            request,
            outcome.transaction,
            words=personal_value(command, outcome.transaction),
        )
        return response

    async def BatchSendGifts(
        self, request: BatchSendGiftsRequest, context: Context
    ) -> BatchSendGiftsResponse:
        if not 0 < len(request.gifts) <= GIFTS_MAX:
            raise InvalidArgumentError("gifts", f"1..{GIFTS_MAX} items")
        response = BatchSendGiftsResponse()
        await send_gifts(self._journal, request.gifts, response.outcomes)
        return response

    async def StreamGifts(
        self, requests: AsyncIterator[StreamGiftsRequest], context: Context
    ) -> AsyncIterator[StreamGiftsResponse]:
        async with aclosing(stream_gifts(self._journal, requests)) as decided:
            async for response in decided:
                yield response

    async def GetGift(self, request: GetGiftRequest, context: Context) -> GetGiftResponse:
        transaction_id = valid_uuid(request.transaction_id, "transaction_id")
        sent = await read_gift(self._pool, transaction_id)
        if sent is None:
            raise RefusedError(refuse(ERROR_REASON_GIFT_NOT_FOUND, transaction_id=transaction_id))
        return GetGiftResponse(gift=sent_gift(sent))

    async def ListGiftsReceived(
        self, request: ListGiftsReceivedRequest, context: Context
    ) -> ListGiftsReceivedResponse:
        owner_id = valid_id(request.owner_id, "owner_id")
        where = valid_context(request.context, "context") if request.context else ""
        page = open_page(request.page_size, request.page_token, "received", owner_id, where)
        found = await list_received(
            self._pool,
            owner_id,
            context=where,
            before=page.number(first=NUMBER_MAX),
            limit=page.size + 1,
        )
        gifts, token = _page(page, found)
        return ListGiftsReceivedResponse(gifts=gifts, next_page_token=token)

    async def ListGiftsSent(
        self, request: ListGiftsSentRequest, context: Context
    ) -> ListGiftsSentResponse:
        owner_id = valid_id(request.owner_id, "owner_id")
        page = open_page(request.page_size, request.page_token, "sent", owner_id)
        found = await list_sent(
            self._pool, owner_id, before=page.number(first=NUMBER_MAX), limit=page.size + 1
        )
        gifts, token = _page(page, found)
        return ListGiftsSentResponse(gifts=gifts, next_page_token=token)


def _page(page: Page, found: Sequence[SentGift]) -> tuple[list[Gift], str]:
    shown, more = page.cut(found)
    token = page.next_token([shown[-1].seq]) if more else ""
    return [sent_gift(sent) for sent in shown], token
