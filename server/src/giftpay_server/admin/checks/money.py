"""Checks movements of real money against their entries, and claims against their transactions."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import SYSTEM_ACCOUNT_ISSUANCE, SYSTEM_ACCOUNT_PAYOUTS, SYSTEM_ACCOUNT_PROMOTION

from giftpay_server.journal.check import Check, of_entry, of_money_movement
from giftpay_server.journal.sql import POSTED, among
from giftpay_server.ledger.movements import Movements

# An entry against one of these needs a movement of real money.
MONEY_ACCOUNTS = (SYSTEM_ACCOUNT_ISSUANCE, SYSTEM_ACCOUNT_PROMOTION, SYSTEM_ACCOUNT_PAYOUTS)

ENTRY_MONEY = of_entry(
    name="entry.money",
    broken=f"""
        SELECT e.owner_id, e.unit, e.seq
          FROM entry e
          LEFT JOIN money_movement m ON m.transaction_id = e.transaction_id
         WHERE e.create_time >= $1 AND e.system_account IN {among(MONEY_ACCOUNTS)}
           AND m.transaction_id IS NULL
    """,
    detail="'expected a movement of money in its transaction, found none'",
)

# The slices check its subject, each for its own kinds.
MOVED_BY = """
    SELECT m.transaction_id
      FROM money_movement m
      LEFT JOIN transactions t
        ON t.id = m.transaction_id AND t.kind IN {kinds} AND t.reason = {posted}
       AND t.create_time = m.create_time
     WHERE t.id IS NULL
"""


def money_transaction(movements: Movements) -> Check:
    """Checks that each movement of money was made by a transaction of a kind that moves money."""
    kinds = [
        kind
        for kind, moved in movements.items()
        if any(system in MONEY_ACCOUNTS for _, system, _ in moved)
    ]
    return of_money_movement(
        name="money_movement.transaction",
        broken=MOVED_BY.format(kinds=among(kinds), posted=POSTED),
        detail="'expected a posted transaction of its time that moves money, found none'",
        whole=True,
    )


CLAIM_TRANSACTION = Check(
    name="claim.transaction",
    table="claim",
    broken=f"""
        SELECT c.id, c.transaction_id
          FROM claim c
          LEFT JOIN transactions t ON t.id = c.transaction_id AND t.reason = {POSTED}
         WHERE t.id IS NULL
    """,
    key="id",
    detail="format('expected a posted transaction %s, found none', transaction_id)",
    whole=True,
)


def money_checks(movements: Movements) -> Sequence[Check]:
    """The checks of this module."""
    return ENTRY_MONEY, money_transaction(movements), CLAIM_TRANSACTION
