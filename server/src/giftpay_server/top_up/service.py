"""TopUpService: parse, ask the provider, record, answer."""

from __future__ import annotations

from collections.abc import Mapping

from giftpay.v1 import (
    ERROR_REASON_PERMISSION_DENIED,
    PAYMENT_PROVIDER_TRUSTED,
    TOP_UP_STATE_PAID,
    TRANSACTION_KIND_CANCEL_TOP_UP,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
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
    TopUpServiceServicer,
    TopUpState,
)

from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import Outcome, refuse
from giftpay_server.postgres.pool import Pool
from giftpay_server.top_up.messages import (
    cancel_command,
    check_confirm,
    confirm_command,
    create_command,
    unknown_top_up,
)
from giftpay_server.top_up.payments import amount_paid
from giftpay_server.top_up.providers import PaymentProvider
from giftpay_server.top_up.rules import TopUpRow, not_found
from giftpay_server.top_up.store import is_decided, list_top_ups, read_top_up
from giftpay_server.wire.fields import InvalidArgumentError, valid_choice, valid_id, valid_uuid
from giftpay_server.wire.guard import Context
from giftpay_server.wire.identity import LOCAL
from giftpay_server.wire.pages import open_page
from giftpay_server.wire.refusals import RefusedError, settle


class TopUpService(TopUpServiceServicer):
    """The orders' face on the wire.

    `providers` are those that it can ask, by giftpay.v1.PaymentProvider; TRUSTED is nobody to ask,
    but the word of the callers named.
    """

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        providers: Mapping[int, PaymentProvider],
        trusted_callers: frozenset[str],
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._providers = providers
        self._trusted_callers = trusted_callers

    async def CreateTopUp(
        self, request: CreateTopUpRequest, context: Context
    ) -> CreateTopUpResponse:
        decide = self._journal.preview if request.validate_only else self._journal.record
        command = create_command(request, caller=LOCAL)
        self._check_provider(request.provider, caller=LOCAL)
        outcome = settle(await decide(command))
        return CreateTopUpResponse(top_up=_top_up(outcome), replayed=outcome.replayed)

    async def ConfirmTopUp(
        self, request: ConfirmTopUpRequest, context: Context
    ) -> ConfirmTopUpResponse:
        key = check_confirm(request, caller=LOCAL)
        row = await read_top_up(self._pool, request.top_up_id)
        if row is None:
            command = unknown_top_up(request, TRANSACTION_KIND_CONFIRM_TOP_UP, caller=LOCAL)
        else:
            paid = await self._amount_paid(row, request.payment_reference, key=key)
            command = confirm_command(request, row, caller=LOCAL, paid=paid)
        outcome = settle(await self._journal.record(command))
        return ConfirmTopUpResponse(top_up=_top_up(outcome), replayed=outcome.replayed)

    async def GetTopUp(self, request: GetTopUpRequest, context: Context) -> GetTopUpResponse:
        top_up_id = valid_uuid(request.top_up_id, "top_up_id")
        row = await read_top_up(self._pool, top_up_id)
        if row is None:
            raise RefusedError(not_found(top_up_id))
        return GetTopUpResponse(top_up=row.message())

    async def ListTopUps(self, request: ListTopUpsRequest, context: Context) -> ListTopUpsResponse:
        owner_id = valid_id(request.owner_id, "owner_id")
        if request.state:
            valid_choice(request.state, "state", TopUpState)
        page = open_page(
            request.page_size, request.page_token, "top_ups", owner_id, int(request.state)
        )
        found = await list_top_ups(
            self._pool, owner_id, state=request.state, before=page.before_row(), limit=page.size + 1
        )
        rows, more = page.cut(found)
        token = page.row_token(rows[-1].create_time, rows[-1].top_up_id) if more else ""
        return ListTopUpsResponse(top_ups=[row.message() for row in rows], next_page_token=token)

    async def CancelTopUp(
        self, request: CancelTopUpRequest, context: Context
    ) -> CancelTopUpResponse:
        row = await read_top_up(self._pool, valid_uuid(request.top_up_id, "top_up_id"))
        if row is None:
            command = unknown_top_up(request, TRANSACTION_KIND_CANCEL_TOP_UP, caller=LOCAL)
        else:
            command = cancel_command(request, row, caller=LOCAL)
        outcome = settle(await self._journal.record(command))
        return CancelTopUpResponse(top_up=_top_up(outcome), replayed=outcome.replayed)

    async def _amount_paid(self, row: TopUpRow, reference: str, *, key: str) -> Money | None:
        """Asked before the journal, and only where something hangs on the answer.

        What is paid stays paid and what is decided stays decided, so that both are told even while
        the provider is away.
        """
        if row.state == TOP_UP_STATE_PAID or await is_decided(self._pool, key):
            return None
        if row.provider == PAYMENT_PROVIDER_TRUSTED:
            self._check_trusted(LOCAL)
            return row.price
        return await amount_paid(self._providers.get(row.provider), row.provider_name, reference)

    def _check_provider(self, provider: int, *, caller: str) -> None:
        if provider == PAYMENT_PROVIDER_TRUSTED:
            self._check_trusted(caller)
        elif provider not in self._providers:
            raise InvalidArgumentError("provider", "one that this server is connected to")

    def _check_trusted(self, caller: str) -> None:
        if caller not in self._trusted_callers:
            raise RefusedError(refuse(ERROR_REASON_PERMISSION_DENIED, right="trusted_payments"))


def _top_up(outcome: Outcome) -> TopUp:
    return TopUp.FromString(outcome.transaction.answer)
