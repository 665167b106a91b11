"""Registers the redemption slice."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from giftpay.v1 import SYSTEM_ACCOUNT_PAYOUTS, TRANSACTION_KIND_PAYOUT_STEP, UNIT_DIAMOND

from giftpay_server.journal.worker import Pace, Runner
from giftpay_server.ledger.movements import credit, debit
from giftpay_server.redemption.checks import CHECKS
from giftpay_server.redemption.providers import SandboxPayouts
from giftpay_server.redemption.service import RedemptionService
from giftpay_server.redemption.store import TABLES, Due
from giftpay_server.redemption.worker import PayoutWorker
from giftpay_server.registration import Parts, Slice

log = logging.getLogger(__name__)


def _workers(parts: Parts) -> Sequence[Runner[Due]]:
    """The payout worker, if a provider is configured."""
    url = parts.config.sandbox_url
    if not url:
        log.warning("no payout provider (GIFTPAY_SANDBOX_URL): redemptions wait as HELD")
        return ()
    provider = SandboxPayouts(parts.http, url)
    worker = PayoutWorker(parts.journal, parts.pool, provider, clock=parts.clock)
    pace = Pace(poll_s=parts.config.payout_poll_s)
    return (Runner(worker, clock=parts.clock, pace=pace),)


REDEMPTIONS = Slice(
    service_name="RedemptionService",
    service=lambda parts: RedemptionService(parts.journal, parts.pool, parts.reads, parts.catalogs),
    tables=TABLES,
    checks=CHECKS,
    movements={
        TRANSACTION_KIND_PAYOUT_STEP: (
            debit(UNIT_DIAMOND, SYSTEM_ACCOUNT_PAYOUTS, "the provider paid; the hold is captured"),
            credit(UNIT_DIAMOND, SYSTEM_ACCOUNT_PAYOUTS, "the money came back afterwards"),
        ),
    },
    workers=_workers,
)
