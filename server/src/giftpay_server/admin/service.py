"""AdminService: parse, record, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from giftpay.v1 import (
    ERROR_REASON_TRANSACTION_NOT_FOUND,
    AdjustBalanceRequest,
    AdjustBalanceResponse,
    Entry,
    ErasePersonalDataRequest,
    ErasePersonalDataResponse,
    GetTrialBalanceRequest,
    GetTrialBalanceResponse,
    ReverseGiftRequest,
    ReverseGiftResponse,
    TraceTransactionRequest,
    TraceTransactionResponse,
    VerifyLedgerRequest,
    VerifyLedgerResponse,
)

from giftpay_server.admin.audit import trial_balance, verify
from giftpay_server.admin.messages import (
    adjust_command,
    erase_command,
    reversal_command,
)
from giftpay_server.admin.trace import trace
from giftpay_server.gift.messages import sent_gift
from giftpay_server.gift.store import read_gift
from giftpay_server.journal.check import AuditCheck
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import refuse
from giftpay_server.ledger.replay import read_answer
from giftpay_server.postgres.pool import Pool
from giftpay_server.protobuf import time_of
from giftpay_server.wire.commands import ask, carry_out
from giftpay_server.wire.identity import Call
from giftpay_server.wire.refusals import RefusedError


class AdminService:
    """Implements giftpay.v1.AdminService."""

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        checks: Sequence[AuditCheck],
        clock: Callable[[], datetime],
        skew_max: timedelta,
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._checks = checks
        self._clock = clock
        self._skew_max = skew_max
        self._auditing = asyncio.Lock()  # one at a time, since an audit reads whole tables

    async def AdjustBalance(
        self, request: AdjustBalanceRequest, call: Call
    ) -> AdjustBalanceResponse:
        outcome = await carry_out(self._journal, adjust_command(ask(request, call)))
        entry = read_answer(outcome.transaction, into=Entry())
        return AdjustBalanceResponse(entry=entry, replayed=outcome.replayed)

    async def ReverseGift(self, request: ReverseGiftRequest, call: Call) -> ReverseGiftResponse:
        sent = await read_gift(self._pool, request.transaction_id)
        gift = sent_gift(sent) if sent is not None else None
        outcome = await carry_out(self._journal, reversal_command(ask(request, call), gift))
        response = read_answer(outcome.transaction, into=ReverseGiftResponse())
        response.reversal_id = outcome.transaction.id
        response.replayed = outcome.replayed
        return response

    async def ErasePersonalData(
        self, request: ErasePersonalDataRequest, call: Call
    ) -> ErasePersonalDataResponse:
        outcome = await carry_out(self._journal, erase_command(ask(request, call)))
        return ErasePersonalDataResponse(replayed=outcome.replayed)

    async def GetTrialBalance(
        self, request: GetTrialBalanceRequest, call: Call
    ) -> GetTrialBalanceResponse:
        return await trial_balance(self._pool)

    async def VerifyLedger(self, request: VerifyLedgerRequest, call: Call) -> VerifyLedgerResponse:
        has_since = request.HasField("since_time")
        since = time_of(request.since_time) if has_since else None
        async with self._auditing:
            return await verify(
                self._pool, since, self._checks, clock=self._clock, skew_max=self._skew_max
            )

    async def TraceTransaction(
        self, request: TraceTransactionRequest, call: Call
    ) -> TraceTransactionResponse:
        named = request.transaction_id
        traced = await trace(self._pool, named)
        if traced is None:
            raise RefusedError(refuse(ERROR_REASON_TRANSACTION_NOT_FOUND, transaction_id=named))
        return traced
