"""Corruptions of the slices' rows, each with the row that the audit must report."""

from __future__ import annotations

from giftpay.v1 import TRANSACTION_KIND_CONFIRM_TOP_UP, TRANSACTION_KIND_PAYOUT_STEP

from tests.admin.corruptible import Corruption
from tests.admin.evening import (
    CAME_BACK,
    CANCELLED_ORDER,
    CATALOG_2,
    DECLINED,
    GIFT,
    HELD,
    LOST_GIFT,
    LOST_REVERSAL,
    OPEN_ORDER,
    OWED_GIFT,
    PAID_ORDER,
    PAID_OUT,
    PAYMENT,
    REFUSED_GIFT,
)

NOBODY = "f0000000-0000-4000-8000-000000000000"

ROWS = [
    Corruption(
        "transaction.row",
        f"top_up {OPEN_ORDER}",
        f"DELETE FROM top_up WHERE top_up_id = '{OPEN_ORDER}'",
    ),
    Corruption(
        "transaction.row",
        f"redemption {DECLINED}",
        f"DELETE FROM redemption WHERE redemption_id = '{DECLINED}'",
    ),
    Corruption(
        "transaction.catalog_version",
        f"transactions {REFUSED_GIFT}",
        f"UPDATE transactions SET catalog_version = 9 WHERE id = '{REFUSED_GIFT}'",
    ),
    Corruption(
        "catalog.transaction",
        "catalog 2",
        f"UPDATE transactions SET reason = 46 WHERE id = '{CATALOG_2}'",
    ),
    Corruption(
        "catalog.version",
        "catalog 3",
        """
        UPDATE catalog SET version = 3 WHERE version = 2;
        UPDATE transactions SET catalog_version = 3 WHERE catalog_version = 2
        """,
    ),
    Corruption(
        "entry.money",
        "entry ben/DIAMOND/3",
        f"DELETE FROM money_movement WHERE subject_id = '{PAID_OUT}'",
    ),
    Corruption(
        "reversal.gift",
        f"transactions {LOST_REVERSAL}",
        f"""
        UPDATE lot SET source_id = '{GIFT}' WHERE seq = 5;
        UPDATE claim SET id = 'reversal:{GIFT}' WHERE id = 'reversal:{LOST_GIFT}'
        """,
    ),
    Corruption(
        "gift.price",
        f"transactions {GIFT}",
        f"UPDATE transactions SET catalog_version = 2 WHERE id = '{GIFT}'",
    ),
    Corruption(
        "gift.price",
        f"transactions {OWED_GIFT}",
        f"UPDATE transactions SET answer = '' WHERE id = '{OWED_GIFT}'",
    ),
    Corruption(
        "gift.price",
        f"transactions {OWED_GIFT}",
        f"UPDATE transactions SET request = '\\xff' WHERE id = '{OWED_GIFT}'",
    ),
    Corruption("gift.context", "gift_context ben/live/1/1", "DELETE FROM gift_context"),
]

PERSONS = [
    Corruption(
        "erasure.owner",
        "erasure cleo",
        "UPDATE owner SET erasures = 0 WHERE owner_id = 'cleo'",
    ),
    Corruption(
        "erasure.owner",
        "erasure cleo",
        "UPDATE erasure SET generation = 1",
    ),
]

ORDERS = [
    Corruption(
        "top_up.transaction",
        f"top_up {OPEN_ORDER}",
        f"UPDATE top_up SET catalog_version = 2 WHERE top_up_id = '{OPEN_ORDER}'",
    ),
    Corruption(
        "top_up.promise",
        f"top_up {OPEN_ORDER}",
        f"UPDATE top_up SET coins = coins + 1 WHERE top_up_id = '{OPEN_ORDER}'",
    ),
    Corruption(
        "top_up.promise",
        f"top_up {OPEN_ORDER}",
        f"UPDATE transactions SET answer = '\\xff' WHERE id = '{OPEN_ORDER}'",
    ),
    Corruption(
        "redemption.promise",
        f"redemption {HELD}",
        f"UPDATE redemption SET owner_id = 'nobody' WHERE redemption_id = '{HELD}'",
    ),
    Corruption(
        "top_up.payment",
        f"top_up {PAID_ORDER}",
        f"UPDATE top_up SET minor_units = 999 WHERE top_up_id = '{PAID_ORDER}'",
    ),
    Corruption(
        "top_up.payment",
        f"top_up {PAID_ORDER}",
        f"UPDATE top_up SET state = 3 WHERE top_up_id = '{PAID_ORDER}'",
    ),
    Corruption(
        "top_up.payment",
        f"top_up {CANCELLED_ORDER}",
        f"UPDATE top_up SET state = 2 WHERE top_up_id = '{CANCELLED_ORDER}'",
    ),
    Corruption(
        "top_up.claim",
        "claim payment:TRUSTED:pi_1",
        "DELETE FROM claim WHERE id = 'payment:TRUSTED:pi_1'",
    ),
    Corruption(
        "top_up.coins",
        f"top_up {PAID_ORDER}",
        f"UPDATE top_up SET bonus_coins = 0 WHERE top_up_id = '{PAID_ORDER}'",
    ),
    Corruption("top_up.coins", f"top_up {PAID_ORDER}", "UPDATE lot SET price = 999 WHERE seq = 1"),
    Corruption(
        "redemption.transaction",
        f"redemption {HELD}",
        f"UPDATE redemption SET create_time = now() WHERE redemption_id = '{HELD}'",
    ),
    Corruption(
        "redemption.hold",
        f"redemption {PAID_OUT}",
        f"UPDATE hold SET state = 3 WHERE hold_id = '{PAID_OUT}'",
    ),
    Corruption(
        "redemption.hold",
        f"redemption {DECLINED}",
        f"DELETE FROM hold WHERE hold_id = '{DECLINED}'",
    ),
    Corruption(
        "redemption.payout",
        f"redemption {PAID_OUT}",
        f"UPDATE redemption SET state = 5 WHERE redemption_id = '{PAID_OUT}'",
    ),
    Corruption(
        "redemption.payout",
        f"redemption {CAME_BACK}",
        f"UPDATE redemption SET state = 4 WHERE redemption_id = '{CAME_BACK}'",
    ),
    Corruption(
        "redemption.payout",
        f"redemption {PAID_OUT}",
        f"UPDATE redemption SET fee = fee - 1 WHERE redemption_id = '{PAID_OUT}'",
    ),
]

# What a check of the latest does not see.
TIMELESS = [
    Corruption(
        "account.spent",
        "account ben/DIAMOND",
        "UPDATE account SET spent = spent + 1 WHERE owner_id = 'ben' AND unit = 2",
    ),
    Corruption(
        "money_movement.transaction",
        f"money_movement {NOBODY}",
        f"""
        INSERT INTO money_movement SELECT minor_units, create_time, '{NOBODY}', '{NOBODY}',
               provider, reference, currency FROM money_movement WHERE transaction_id = '{PAYMENT}'
        """,
    ),
    Corruption(
        "money_movement.transaction",
        f"money_movement {GIFT}",
        f"""
        INSERT INTO money_movement SELECT 1, create_time, id, '{NOBODY}', 'SANDBOX', 'pi_2', 'EUR'
          FROM transactions WHERE id = '{GIFT}'
        """,
    ),
    *(
        Corruption(
            "money_movement.subject",
            f"money_movement {NOBODY}",
            f"""
            INSERT INTO transactions SELECT create_time, '{NOBODY}', catalog_version, {kind}, 0,
                   caller, '', request, answer FROM transactions WHERE id = '{PAYMENT}';
            INSERT INTO money_movement SELECT minor_units, create_time, '{NOBODY}', '{NOBODY}',
                   provider, reference, currency FROM money_movement
             WHERE transaction_id = '{PAYMENT}'
            """,
        )
        for kind in (TRANSACTION_KIND_CONFIRM_TOP_UP, TRANSACTION_KIND_PAYOUT_STEP)
    ),
    Corruption(
        "claim.transaction",
        "claim payment:SANDBOX:pi_2",
        f"INSERT INTO claim VALUES ('payment:SANDBOX:pi_2', '{NOBODY}')",
    ),
    Corruption(
        "gift_context.entry",
        "gift_context ben/live/2/2",
        "INSERT INTO gift_context VALUES (2, 'ben', 'live/2')",
    ),
    Corruption(
        "personal_data.generation",
        f"personal_data {HELD}",
        f"UPDATE personal_data SET generation = 1 WHERE transaction_id = '{HELD}'",
    ),
    Corruption(
        "personal_data.generation",
        f"personal_data {PAID_OUT}",
        "UPDATE owner SET erasures = 1 WHERE owner_id = 'ben'",
    ),
    Corruption(
        "account.stripes",
        "account ~GIFT_SALES~*/COIN",
        "UPDATE account SET balance = balance + 1 WHERE unit = 1 AND owner_id = "
        "(SELECT min(owner_id) FROM account WHERE owner_id ~ '^~GIFT_SALES~')",
    ),
]
