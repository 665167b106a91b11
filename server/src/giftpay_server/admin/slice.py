"""Registers the admin slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    UNIT_DIAMOND,
)

from giftpay_server.admin.checks import all_checks
from giftpay_server.admin.rules import Erasure
from giftpay_server.admin.service import AdminService
from giftpay_server.admin.store import TABLES
from giftpay_server.admin.worker import ErasureWorker
from giftpay_server.journal.worker import Pace, Runner
from giftpay_server.ledger.movements import credit, debit
from giftpay_server.registration import Parts, Slice


def _service(parts: Parts) -> AdminService:
    skew_max = timedelta(seconds=parts.config.clock_skew_max_s)
    checks = all_checks(parts.registry)
    return AdminService(parts.journal, parts.pool, checks, parts.clock, skew_max)


def _workers(parts: Parts) -> Sequence[Runner[Erasure]]:
    """The erasure worker, which does one erasure at a time to leave the pool to readers."""
    pace = Pace(poll_s=parts.config.erasure_poll_s, calls_max=1)
    return (Runner(ErasureWorker(parts.pool), clock=parts.clock, pace=pace),)


ADMIN = Slice(
    service_name="AdminService",
    service=_service,
    tables=TABLES,
    movements={
        TRANSACTION_KIND_ADJUSTMENT: (
            credit(UNIT_COIN, SYSTEM_ACCOUNT_ADJUSTMENT, "coins gained, an adjustment lot"),
            debit(UNIT_COIN, SYSTEM_ACCOUNT_ADJUSTMENT, "coins lost"),
            credit(UNIT_DIAMOND, SYSTEM_ACCOUNT_ADJUSTMENT, "diamonds gained"),
            debit(UNIT_DIAMOND, SYSTEM_ACCOUNT_ADJUSTMENT, "diamonds lost"),
        ),
    },
    workers=_workers,
)
