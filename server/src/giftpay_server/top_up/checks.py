"""The audit checks of top-ups: their payments, entries, claims and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from giftpay.v1 import (
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    TOP_UP_STATE_PAID,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    TRANSACTION_KIND_CREATE_TOP_UP,
    UNIT_COIN,
    TopUp,
)

from giftpay_server.journal.check import AuditCheck, Check, PromiseCheck
from giftpay_server.journal.row_checks import row_checks, subject_check
from giftpay_server.journal.sql import refs
from giftpay_server.ledger.model import LotKind

of_top_up = partial(Check, table="top_up", key="top_up_id")

# A paid order has one payment; any other has none.
TOP_UP_PAYMENT = of_top_up(
    name="top_up.payment",
    broken=f"""
        WITH orders AS (
            SELECT o.top_up_id, o.state = {TOP_UP_STATE_PAID} AS paid, m.transaction_id,
                   (o.minor_units, o.currency, o.payment_reference, o.pay_time)::text AS expected,
                   (m.minor_units, m.currency, m.reference, m.create_time)::text AS found
              FROM account a
              JOIN top_up o ON o.owner_id = a.owner_id
              LEFT JOIN money_movement m ON m.subject_id = o.top_up_id
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN}
        )
        SELECT *
          FROM orders
         WHERE paid <> (transaction_id IS NOT NULL) OR paid AND expected <> found
    """,
    detail="""
        CASE WHEN NOT paid THEN format('expected no payment, found %s', found)
             WHEN transaction_id IS NULL THEN format('expected %s, found none', expected)
             ELSE format('expected %s, found %s', expected, found)
        END
    """,
)

TOP_UP_CLAIM = Check(
    name="top_up.claim",
    table="claim",
    broken=f"""
        WITH payments AS (
            SELECT concat_ws(':', 'payment', m.provider, m.reference) AS id, m.transaction_id
              FROM account a
              JOIN top_up o ON o.owner_id = a.owner_id
              JOIN money_movement m ON m.subject_id = o.top_up_id
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN}
        )
        SELECT id, p.transaction_id, c.transaction_id AS claimed_by
          FROM payments p
          LEFT JOIN claim c USING (id)
         WHERE c.transaction_id IS DISTINCT FROM p.transaction_id
    """,
    key="id",
    detail="""
        format('expected %s, found %s', transaction_id, coalesce(claimed_by::text, 'none'))
    """,
)

# First the coins bought, a lot with the price, and then the bonus.
TOP_UP_COINS = of_top_up(
    name="top_up.coins",
    broken=f"""
        WITH paid AS (
            SELECT o.*, m.transaction_id
              FROM account a
              JOIN top_up o ON o.owner_id = a.owner_id
              JOIN money_movement m ON m.subject_id = o.top_up_id
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN}
        ), credited AS (
            SELECT p.top_up_id,
                   concat_ws(' ',
                       (p.owner_id, {UNIT_COIN}, {SYSTEM_ACCOUNT_ISSUANCE}, p.coins,
                        {LotKind.PAID}, p.top_up_id, p.minor_units, p.currency)::text,
                       CASE WHEN p.bonus_coins > 0
                            THEN (p.owner_id, {UNIT_COIN}, {SYSTEM_ACCOUNT_PROMOTION},
                                  p.bonus_coins, {LotKind.BONUS}, p.top_up_id, NULL, NULL)::text
                       END
                   ) AS expected,
                   (SELECT string_agg(
                               (e.owner_id, e.unit, e.system_account, e.amount,
                                l.kind, l.source_id, l.price, l.currency)::text,
                               ' ' ORDER BY e.seq
                           )
                      FROM transactions t
                     CROSS JOIN LATERAL {refs("t.entries")} AS ref
                      JOIN entry e USING (owner_id, unit, seq)
                      LEFT JOIN lot l USING (owner_id, unit, seq)
                     WHERE t.id = p.transaction_id
                   ) AS found
              FROM paid p
        )
        SELECT * FROM credited WHERE expected IS DISTINCT FROM found
    """,
    detail="format('expected %s, found %s', expected, coalesce(found, 'none'))",
)

READ_ORDERS = """
    SELECT o.top_up_id AS key, t.request, t.answer,
           o.owner_id, o.package_id, o.provider, o.minor_units, o.currency, o.coins, o.bonus_coins
      FROM transactions t
      JOIN top_up o ON o.top_up_id = t.id
     WHERE t.create_time >= $1
     ORDER BY o.top_up_id
"""


def _promise(_request: bytes, answer: bytes) -> Mapping[str, Any]:
    order = TopUp.FromString(answer)
    return {
        "owner_id": order.owner_id,
        "package_id": order.package_id,
        "provider": order.provider,
        "minor_units": order.price.minor_units,
        "currency": order.price.currency_code,
        "coins": order.coins,
        "bonus_coins": order.bonus_coins,
    }


CHECKS: Sequence[AuditCheck] = (
    *row_checks("top_up", made_by=TRANSACTION_KIND_CREATE_TOP_UP, unit=UNIT_COIN, is_priced=True),
    TOP_UP_PAYMENT,
    TOP_UP_CLAIM,
    TOP_UP_COINS,
    PromiseCheck(table="top_up", read=READ_ORDERS, promise=_promise),
    subject_check("top_up", moved_by=TRANSACTION_KIND_CONFIRM_TOP_UP),
)
