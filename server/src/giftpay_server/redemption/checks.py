"""The audit checks of redemptions: their holds, payouts, entries and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from giftpay.v1 import (
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_RETURNED,
    SYSTEM_ACCOUNT_PAYOUTS,
    TRANSACTION_KIND_CREATE_REDEMPTION,
    TRANSACTION_KIND_PAYOUT_STEP,
    UNIT_DIAMOND,
    CreateRedemptionRequest,
    Redemption,
)

from giftpay_server.journal.check import AuditCheck, Check, PromiseCheck
from giftpay_server.journal.row_checks import row_checks, subject_check
from giftpay_server.journal.sql import among, refs
from giftpay_server.ledger.model import HoldState
from giftpay_server.redemption.rules import HOLDING

of_redemption = partial(Check, table="redemption", key="redemption_id")

# Open until the provider's result is known; captured if it paid, also if the money came back later;
# released otherwise.
REDEMPTION_HOLD = of_redemption(
    name="redemption.hold",
    broken=f"""
        WITH holds AS (
            SELECT r.redemption_id,
                   ({UNIT_DIAMOND}, r.diamonds,
                    CASE WHEN r.state IN {among(HOLDING)} THEN {HoldState.OPEN}
                         WHEN EXISTS (SELECT 1 FROM money_movement m
                                       WHERE m.subject_id = r.redemption_id)
                         THEN {HoldState.CAPTURED}
                         ELSE {HoldState.RELEASED}
                    END)::text AS expected,
                   (h.unit, h.amount, h.state)::text AS found
              FROM account a
              JOIN redemption r ON r.owner_id = a.owner_id
              LEFT JOIN hold h ON h.owner_id = r.owner_id AND h.hold_id = r.redemption_id
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_DIAMOND}
        )
        SELECT * FROM holds WHERE expected <> found
    """,
    detail="format('expected unit, amount and state %s, found %s', expected, found)",
)

# PAID has one payout with a debit; RETURNED after PAID has both of these and their reverse; any
# other state has none.
REDEMPTION_PAYOUT = of_redemption(
    name="redemption.payout",
    broken=f"""
        WITH payouts AS (
            SELECT r.redemption_id, r.state,
                   (r.fee - r.gross, r.currency, r.provider_key, r.owner_id, {UNIT_DIAMOND},
                    {SYSTEM_ACCOUNT_PAYOUTS}, -r.diamonds)::text AS paid,
                   (r.gross - r.fee, r.currency, r.provider_key, r.owner_id, {UNIT_DIAMOND},
                    {SYSTEM_ACCOUNT_PAYOUTS}, r.diamonds)::text AS returned,
                   (SELECT string_agg(
                               (m.minor_units, m.currency, m.reference,
                                e.owner_id, e.unit, e.system_account, e.amount)::text,
                               ' ' ORDER BY m.minor_units, e.seq
                           )
                      FROM money_movement m
                      LEFT JOIN transactions t ON t.id = m.transaction_id
                      LEFT JOIN LATERAL {refs("t.entries")} AS ref ON true
                      LEFT JOIN entry e USING (owner_id, unit, seq)
                     WHERE m.subject_id = r.redemption_id
                   ) AS found
              FROM account a
              JOIN redemption r ON r.owner_id = a.owner_id
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_DIAMOND}
        ), expected AS (
            SELECT redemption_id, found,
                   CASE WHEN state = {REDEMPTION_STATE_PAID} THEN paid
                        WHEN state = {REDEMPTION_STATE_RETURNED} AND found IS NOT NULL
                        THEN concat_ws(' ', paid, returned)
                   END AS expected
              FROM payouts
        )
        SELECT * FROM expected WHERE expected IS DISTINCT FROM found
    """,
    detail="""
        format('expected %s, found %s', coalesce(expected, 'none'), coalesce(found, 'none'))
    """,
)

READ_REDEMPTIONS = """
    SELECT r.redemption_id AS key, t.request, t.answer,
           r.owner_id, r.diamonds, r.gross, r.fee, r.currency
      FROM transactions t
      JOIN redemption r ON r.redemption_id = t.id
     WHERE t.create_time >= $1
     ORDER BY r.redemption_id
"""


def _promise(request: bytes, answer: bytes) -> Mapping[str, Any]:
    quote = Redemption.FromString(answer).quote
    return {
        "owner_id": CreateRedemptionRequest.FromString(request).owner_id,
        "diamonds": quote.diamonds,
        "gross": quote.gross.minor_units,
        "fee": quote.fee.minor_units,
        "currency": quote.gross.currency_code,
    }


CHECKS: Sequence[AuditCheck] = (
    *row_checks(
        "redemption", made_by=TRANSACTION_KIND_CREATE_REDEMPTION, unit=UNIT_DIAMOND, is_priced=True
    ),
    REDEMPTION_HOLD,
    REDEMPTION_PAYOUT,
    PromiseCheck(table="redemption", read=READ_REDEMPTIONS, promise=_promise),
    subject_check("redemption", moved_by=TRANSACTION_KIND_PAYOUT_STEP),
)
