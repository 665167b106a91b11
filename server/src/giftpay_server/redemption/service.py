"""RedemptionService: parse, record, answer."""

from __future__ import annotations

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
    RedemptionServiceServicer,
    RedemptionState,
)

from giftpay_server.catalog.pricing import quote
from giftpay_server.catalog.rules import Catalog
from giftpay_server.catalog.store import Catalogs
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import AMOUNT_LIMIT, Refused
from giftpay_server.ledger.replay import personal_value
from giftpay_server.postgres.pool import Pool
from giftpay_server.redemption.messages import (
    cancel_command,
    create_command,
    created_message,
    of_owner,
    redemption_message,
)
from giftpay_server.redemption.rules import not_found, quote_message
from giftpay_server.redemption.store import list_redemptions, read_redemption
from giftpay_server.wire.fields import (
    valid_choice,
    valid_currency,
    valid_id,
    valid_number,
    valid_uuid,
)
from giftpay_server.wire.guard import Context
from giftpay_server.wire.identity import LOCAL
from giftpay_server.wire.pages import open_page
from giftpay_server.wire.refusals import RefusedError, settle


class RedemptionService(RedemptionServiceServicer):
    """The redemptions' face on the wire."""

    def __init__(self, journal: Journal, pool: Pool, catalogs: Catalogs) -> None:
        self._journal = journal
        self._pool = pool
        self._catalogs = catalogs

    async def QuoteRedemption(
        self, request: QuoteRedemptionRequest, context: Context
    ) -> QuoteRedemptionResponse:
        diamonds = valid_number(request.diamonds, "diamonds", least=1, most=AMOUNT_LIMIT)
        currency = valid_currency(request.currency_code, "currency_code")
        catalog = await self._catalog()
        quoted = quote(catalog, diamonds, currency)
        if isinstance(quoted, Refused):
            raise RefusedError(quoted)
        assert catalog is not None  # without one it is refused
        return QuoteRedemptionResponse(quote=quote_message(quoted, diamonds, catalog.version))

    async def CreateRedemption(
        self, request: CreateRedemptionRequest, context: Context
    ) -> CreateRedemptionResponse:
        decide = self._journal.preview if request.validate_only else self._journal.record
        command = create_command(request, caller=LOCAL)
        outcome = settle(await decide(command))
        destination = personal_value(command, outcome.transaction)
        redemption = created_message(request, outcome.transaction, destination=destination)
        return CreateRedemptionResponse(redemption=redemption, replayed=outcome.replayed)

    async def GetRedemption(
        self, request: GetRedemptionRequest, context: Context
    ) -> GetRedemptionResponse:
        redemption_id = valid_uuid(request.redemption_id, "redemption_id")
        return GetRedemptionResponse(redemption=await self._redemption(redemption_id))

    async def ListRedemptions(
        self, request: ListRedemptionsRequest, context: Context
    ) -> ListRedemptionsResponse:
        owner_id = valid_id(request.owner_id, "owner_id")
        if request.state:
            valid_choice(request.state, "state", RedemptionState)
        filters = ("redemptions", owner_id, request.state)
        page = open_page(request.page_size, request.page_token, *filters)
        found = await list_redemptions(
            self._pool,
            owner_id,
            state=request.state,
            before=page.before_row(),
            limit=page.size + 1,
        )
        shown, more = page.cut(found)
        return ListRedemptionsResponse(
            redemptions=map(redemption_message, shown),
            next_page_token=page.row_token(shown[-1].row.create_time, shown[-1].row.redemption_id)
            if more
            else "",
        )

    async def CancelRedemption(
        self, request: CancelRedemptionRequest, context: Context
    ) -> CancelRedemptionResponse:
        command = cancel_command(request, caller=LOCAL)
        standing = await read_redemption(self._pool, request.redemption_id)
        if standing is not None:
            of_owner(command, standing.row.owner_id, request.redemption_id)
        outcome = settle(await self._journal.record(command))
        # Read after it was decided: what is cancelled stays as it is.
        redemption = await self._redemption(request.redemption_id)
        return CancelRedemptionResponse(redemption=redemption, replayed=outcome.replayed)

    async def _catalog(self) -> Catalog | None:
        async with self._pool.acquire() as connection:
            return await self._catalogs.current(connection)

    async def _redemption(self, redemption_id: str) -> Redemption:
        standing = await read_redemption(self._pool, redemption_id)
        if standing is None:
            raise RefusedError(not_found(redemption_id))
        return redemption_message(standing)
