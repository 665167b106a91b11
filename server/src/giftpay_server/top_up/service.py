"""TopUpService: parse, ask the provider, record, answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    TOP_UP_STATE_PAID,
    CancelTopUpRequest,
    CancelTopUpResponse,
    ConfirmTopUpRequest,
    ConfirmTopUpResponse,
    CreateTopUpRequest,
    CreateTopUpResponse,
    GetTopUpRequest,
    GetTopUpResponse,
    ListTopUpsRequest,
    ListTopUpsResponse,
    Money,
    TopUp,
)
from giftpay.v1 import PaymentProvider as PaymentProviderNumber

from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import Outcome
from giftpay_server.ledger.replay import read_answer
from giftpay_server.postgres.pool import Pool
from giftpay_server.top_up.messages import (
    cancel_command,
    confirm_command,
    create_command,
)
from giftpay_server.top_up.payments import amount_paid
from giftpay_server.top_up.providers import PaymentProvider
from giftpay_server.top_up.rules import TopUpRow, not_found
from giftpay_server.top_up.store import is_decided, list_top_ups, read_top_up
from giftpay_server.wire.commands import Asked, ask, carry_out
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.identity import Call, Right
from giftpay_server.wire.lane import ReadLane
from giftpay_server.wire.pages import Listing, open_page, read_page
from giftpay_server.wire.refusals import RefusedError


class TopUpService:
    """Implements giftpay.v1.TopUpService.

    `providers` are the connected ones, by giftpay.v1.PaymentProvider. TRUSTED is none of them:
    there the caller confirms the payment.
    """

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        reads: ReadLane,
        providers: Mapping[int, PaymentProvider],
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._reads = reads
        self._providers = providers

    async def CreateTopUp(self, request: CreateTopUpRequest, call: Call) -> CreateTopUpResponse:
        self._check_provider(request.provider, call)
        outcome = await carry_out(self._journal, create_command(ask(request, call)))
        return CreateTopUpResponse(top_up=_top_up(outcome), replayed=outcome.replayed)

    async def ConfirmTopUp(self, request: ConfirmTopUpRequest, call: Call) -> ConfirmTopUpResponse:
        asked = ask(request, call)
        row = await read_top_up(self._pool, request.top_up_id)
        paid = await self._amount_paid(row, asked, call) if row is not None else None
        outcome = await carry_out(self._journal, confirm_command(asked, row, paid=paid))
        return ConfirmTopUpResponse(top_up=_top_up(outcome), replayed=outcome.replayed)

    async def GetTopUp(self, request: GetTopUpRequest, call: Call) -> GetTopUpResponse:
        row = await read_top_up(self._pool, request.top_up_id)
        if row is None:
            raise RefusedError(not_found(request.top_up_id))
        return GetTopUpResponse(top_up=row.message())

    async def ListTopUps(self, request: ListTopUpsRequest, call: Call) -> bytes:
        page = open_page(request)
        listing = Listing(
            read=lambda before, limit: list_top_ups(
                self._pool, request.owner_id, state=request.state, before=before, limit=limit
            ),
            place=lambda row: (row.create_time, row.top_up_id),
            show=_shown,
        )
        return await read_page(self._reads, page, listing, first=page.before_row())

    async def CancelTopUp(self, request: CancelTopUpRequest, call: Call) -> CancelTopUpResponse:
        row = await read_top_up(self._pool, request.top_up_id)
        outcome = await carry_out(self._journal, cancel_command(ask(request, call), row))
        return CancelTopUpResponse(top_up=_top_up(outcome), replayed=outcome.replayed)

    async def _amount_paid(
        self, row: TopUpRow, asked: Asked[ConfirmTopUpRequest], call: Call
    ) -> Money | None:
        """Asks the provider, before the command, for the amount paid; None if it need not be asked.

        A paid order and a decided key are final, so both are answered even while the provider is
        away.
        """
        if row.state == TOP_UP_STATE_PAID or await is_decided(self._pool, asked.key):
            return None
        if row.provider == PAYMENT_PROVIDER_TRUSTED:
            call.require(Right.TRUSTED_PAYMENTS)
            return row.price
        provider, reference = self._providers.get(row.provider), asked.request.payment_reference
        return await amount_paid(provider, row.provider_name, reference)

    def _check_provider(self, provider: int, call: Call) -> None:
        if provider == PAYMENT_PROVIDER_TRUSTED:
            call.require(Right.TRUSTED_PAYMENTS)
        elif provider not in self._providers:
            names = ", ".join(self._provider_names(call)) or "none"
            raise InvalidArgumentError("provider", f"one that this server is connected to: {names}")

    def _provider_names(self, call: Call) -> Iterator[str]:
        for name, provider in PaymentProviderNumber.items():
            is_trusted = provider == PAYMENT_PROVIDER_TRUSTED
            if provider in self._providers or (is_trusted and call.may(Right.TRUSTED_PAYMENTS)):
                yield name


def _top_up(outcome: Outcome) -> TopUp:
    return read_answer(outcome.transaction, into=TopUp())


def _shown(rows: Sequence[TopUpRow]) -> ListTopUpsResponse:
    return ListTopUpsResponse(top_ups=[row.message() for row in rows])
