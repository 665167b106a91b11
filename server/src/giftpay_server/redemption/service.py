"""RedemptionService: parse, record, answer."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import (
    CancelRedemptionRequest,
    CancelRedemptionResponse,
    CreateRedemptionRequest,
    CreateRedemptionResponse,
    GetRedemptionRequest,
    GetRedemptionResponse,
    ListRedemptionsRequest,
    ListRedemptionsResponse,
    QuoteRedemptionRequest,
    QuoteRedemptionResponse,
    Redemption,
)

from giftpay_server.catalog.pricing import quote
from giftpay_server.catalog.rules import Catalog
from giftpay_server.catalog.store import Catalogs
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import Refused
from giftpay_server.ledger.replay import personal_value
from giftpay_server.postgres.pool import Pool
from giftpay_server.redemption.messages import (
    cancel_command,
    create_command,
    created_message,
    redemption_message,
)
from giftpay_server.redemption.rules import not_found, quote_message
from giftpay_server.redemption.store import StoredRedemption, list_redemptions, read_redemption
from giftpay_server.wire.commands import ask, carry_out
from giftpay_server.wire.identity import Call
from giftpay_server.wire.lane import ReadLane
from giftpay_server.wire.pages import Listing, open_page, read_page
from giftpay_server.wire.refusals import RefusedError


class RedemptionService:
    """Implements giftpay.v1.RedemptionService."""

    def __init__(self, journal: Journal, pool: Pool, reads: ReadLane, catalogs: Catalogs) -> None:
        self._journal = journal
        self._pool = pool
        self._reads = reads
        self._catalogs = catalogs

    async def QuoteRedemption(
        self, request: QuoteRedemptionRequest, call: Call
    ) -> QuoteRedemptionResponse:
        catalog, diamonds = await self._catalog(), request.diamonds
        quoted = quote(catalog, diamonds, request.currency_code)
        if isinstance(quoted, Refused):
            raise RefusedError(quoted)
        assert catalog is not None  # without one it is refused
        return QuoteRedemptionResponse(quote=quote_message(quoted, diamonds, catalog.version))

    async def CreateRedemption(
        self, request: CreateRedemptionRequest, call: Call
    ) -> CreateRedemptionResponse:
        command = create_command(ask(request, call))
        outcome = await carry_out(self._journal, command)
        destination = personal_value(command, outcome.transaction)
        redemption = created_message(request, outcome.transaction, destination=destination)
        return CreateRedemptionResponse(redemption=redemption, replayed=outcome.replayed)

    async def GetRedemption(
        self, request: GetRedemptionRequest, call: Call
    ) -> GetRedemptionResponse:
        return GetRedemptionResponse(redemption=await self._redemption(request.redemption_id))

    async def ListRedemptions(self, request: ListRedemptionsRequest, call: Call) -> bytes:
        page = open_page(request)
        listing = Listing(
            read=lambda before, limit: list_redemptions(
                self._pool, request.owner_id, state=request.state, before=before, limit=limit
            ),
            place=lambda each: (each.row.create_time, each.row.redemption_id),
            show=_shown,
        )
        return await read_page(self._reads, page, listing, first=page.before_row())

    async def CancelRedemption(
        self, request: CancelRedemptionRequest, call: Call
    ) -> CancelRedemptionResponse:
        stored = await read_redemption(self._pool, request.redemption_id)
        command = cancel_command(ask(request, call), stored.row if stored else None)
        outcome = await carry_out(self._journal, command)
        # Read after the decision: a cancelled redemption does not change again.
        redemption = await self._redemption(request.redemption_id)
        return CancelRedemptionResponse(redemption=redemption, replayed=outcome.replayed)

    async def _catalog(self) -> Catalog | None:
        async with self._pool.acquire() as connection:
            return await self._catalogs.current(connection)

    async def _redemption(self, redemption_id: str) -> Redemption:
        stored = await read_redemption(self._pool, redemption_id)
        if stored is None:
            raise RefusedError(not_found(redemption_id))
        return redemption_message(stored)


def _shown(found: Sequence[StoredRedemption]) -> ListRedemptionsResponse:
    return ListRedemptionsResponse(redemptions=map(redemption_message, found))
