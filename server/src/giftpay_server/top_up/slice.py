"""Registers the top-up slice."""

from __future__ import annotations

from collections.abc import Mapping

from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    UNIT_COIN,
)

from giftpay_server.ledger.movements import credit
from giftpay_server.registration import Parts, Slice
from giftpay_server.top_up.checks import CHECKS
from giftpay_server.top_up.open_items import TABLES as OPEN_ITEMS
from giftpay_server.top_up.open_items import PendingTopUps
from giftpay_server.top_up.providers import PaymentProvider, SandboxPayments
from giftpay_server.top_up.service import TopUpService
from giftpay_server.top_up.store import TABLES

PROVIDER_TIMEOUT_S = 5  # less than a caller's deadline, so that the caller gets an answer


def _providers(parts: Parts) -> Mapping[int, PaymentProvider]:
    if not parts.config.sandbox_url:
        return {}
    sandbox = SandboxPayments(parts.http, parts.config.sandbox_url, timeout_s=PROVIDER_TIMEOUT_S)
    return {PAYMENT_PROVIDER_SANDBOX: sandbox}


TOP_UPS = Slice(
    service_name="TopUpService",
    service=lambda parts: TopUpService(parts.journal, parts.pool, parts.reads, _providers(parts)),
    tables={**TABLES, **OPEN_ITEMS},
    checks=CHECKS,
    movements={
        TRANSACTION_KIND_CONFIRM_TOP_UP: (
            credit(UNIT_COIN, SYSTEM_ACCOUNT_ISSUANCE, "the coins bought, a paid lot"),
            credit(UNIT_COIN, SYSTEM_ACCOUNT_PROMOTION, "bonus coins, if any, a bonus lot"),
        ),
    },
    open_items={"open_top_ups": PendingTopUps},
)
