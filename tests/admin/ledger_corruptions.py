"""Corruptions of the ledger, each with the row that the audit must report."""

from __future__ import annotations

from tests.admin.corruptible import Corruption
from tests.admin.evening import (
    DECLINED,
    GIFT,
    HELD,
    LOST_GIFT,
    OPEN_ORDER,
    PAYMENT,
    REFUSED_GIFT,
)

NOBODY = "f0000000-0000-4000-8000-000000000000"

ENTRIES = [
    Corruption(
        "transaction.list",
        f"transactions {REFUSED_GIFT}",
        f"UPDATE transactions SET entries = 'anna/1/3' WHERE id = '{REFUSED_GIFT}'",
    ),
    Corruption(
        "transaction.list",
        f"transactions {GIFT}",
        f"UPDATE transactions SET entries = entries || ' ben/2/1' WHERE id = '{GIFT}'",
    ),
    Corruption(
        "transaction.list",
        f"transactions {GIFT}",
        f"UPDATE transactions SET entries = 'anna/1/third' WHERE id = '{GIFT}'",
    ),
    Corruption(
        "transaction.list",
        f"transactions {GIFT}",
        f"UPDATE transactions SET entries = entries || ' ' WHERE id = '{GIFT}'",
    ),
    Corruption(
        "entry.transaction",
        "entry anna/COIN/3",
        f"UPDATE transactions SET entries = 'ben/2/1' WHERE id = '{GIFT}'",
    ),
    Corruption(
        "entry.transaction",
        "entry anna/COIN/8",
        f"UPDATE entry SET transaction_id = '{NOBODY}' WHERE owner_id = 'anna' AND seq = 8",
    ),
    Corruption(
        "entry.transaction",
        "entry ben/DIAMOND/3",
        "UPDATE entry SET create_time = create_time - interval '1us'"
        " WHERE owner_id = 'ben' AND seq = 3",
    ),
    Corruption(
        "entry.transaction",
        "entry anna/COIN/3",
        f"UPDATE transactions SET reason = 25, entries = '' WHERE id = '{GIFT}'",
    ),
    Corruption(
        "entry.system_account",
        "entry anna/COIN/3",
        "UPDATE entry SET system_account = 8 WHERE owner_id = 'anna' AND seq = 3",
    ),
    Corruption(
        "entry.system_account",
        "entry ben/DIAMOND/3",
        "UPDATE transactions SET kind = 11 WHERE entries = 'ben/2/3'",
    ),
    Corruption(
        "entry.seq", "entry anna/COIN/5", "DELETE FROM entry WHERE owner_id = 'anna' AND seq = 5"
    ),
    Corruption(
        "entry.balance",
        "entry anna/COIN/4",
        "UPDATE entry SET balance = balance + 1 WHERE owner_id = 'anna' AND seq = 4",
    ),
    Corruption(
        "entry.balance",
        "entry ben/DIAMOND/1",
        "UPDATE entry SET amount = amount + 1 WHERE owner_id = 'ben' AND seq = 1",
    ),
    Corruption(
        "entry.create_time",
        "entry anna/COIN/4",
        f"""
        UPDATE entry SET create_time = create_time - interval '1h'
         WHERE transaction_id = '{LOST_GIFT}';
        UPDATE transactions SET create_time = create_time - interval '1h' WHERE id = '{LOST_GIFT}'
        """,
    ),
    Corruption(
        "transaction.entries",
        f"transactions {PAYMENT}",
        f"UPDATE transactions SET entries = entries || ' anna/1/9' WHERE id = '{PAYMENT}'",
    ),
    Corruption(
        "transaction.entries",
        f"transactions {PAYMENT}",
        f"UPDATE transactions SET entries = entries || ' anna/1/3' WHERE id = '{PAYMENT}'",
    ),
    Corruption(
        "entry.account", "entry ben/DIAMOND/1", "DELETE FROM account WHERE owner_id = 'ben'"
    ),
    Corruption(
        "entry.account",
        "entry anna/COIN/8",
        "UPDATE account SET seq = 7 WHERE owner_id = 'anna' AND unit = 1",
    ),
    Corruption(
        "entry.account",
        "entry anna/COIN/8",
        "UPDATE account SET entry_time = entry_time - interval '1us' WHERE owner_id = 'anna'",
    ),
]

ACCOUNTS = [
    Corruption(
        "account.seq",
        "account cleo/DIAMOND",
        "UPDATE account SET seq = 8 WHERE owner_id = 'cleo' AND unit = 2",
    ),
    Corruption(
        "account.balance",
        "account anna/COIN",
        "UPDATE account SET balance = balance + 1 WHERE owner_id = 'anna' AND unit = 1",
    ),
    Corruption(
        "account.floor",
        "account cleo/DIAMOND",
        "UPDATE account SET floor = -39 WHERE owner_id = 'cleo' AND unit = 2",
    ),
    Corruption(
        "account.floor",
        "account anna/COIN",
        "UPDATE account SET floor = 1 WHERE owner_id = 'anna' AND unit = 1",
    ),
    Corruption("account.owner", "account ben/DIAMOND", "DELETE FROM owner WHERE owner_id = 'ben'"),
    Corruption(
        "account.held",
        "account ben/DIAMOND",
        "UPDATE account SET held = held + 1 WHERE owner_id = 'ben' AND unit = 2",
    ),
    Corruption("account.held", "account ben/DIAMOND", f"DELETE FROM hold WHERE hold_id = '{HELD}'"),
    Corruption(
        "hold.transaction",
        f"hold ben/{NOBODY}",
        f"UPDATE hold SET hold_id = '{NOBODY}' WHERE hold_id = '{DECLINED}'",
    ),
    Corruption(
        "hold.transaction",
        f"hold ben/{REFUSED_GIFT}",
        f"UPDATE hold SET hold_id = '{REFUSED_GIFT}' WHERE hold_id = '{DECLINED}'",
    ),
    Corruption(
        "hold.transaction",
        f"hold ben/{HELD}",
        f"UPDATE hold SET create_time = now() WHERE hold_id = '{HELD}'",
    ),
]

LOTS = [
    Corruption("lot.entry", "lot anna/COIN/2", "UPDATE lot SET size = size + 1 WHERE seq = 2"),
    Corruption("lot.entry", "lot anna/COIN/3", "UPDATE lot SET seq = 3 WHERE seq = 2"),
    Corruption("entry.lot", "entry anna/COIN/5", "DELETE FROM lot WHERE seq = 5"),
    Corruption("lot.first", "lot anna/COIN/5", "UPDATE lot SET first = first - 1 WHERE seq = 5"),
    Corruption(
        "lot.source",
        "lot anna/COIN/1",
        f"UPDATE lot SET source_id = '{OPEN_ORDER}' WHERE seq = 1",
    ),
    Corruption(
        "lot.source", "lot anna/COIN/5", f"UPDATE lot SET source_id = '{GIFT}' WHERE seq = 5"
    ),
    Corruption(
        "lot.source", "lot anna/COIN/5", f"DELETE FROM claim WHERE id = 'reversal:{LOST_GIFT}'"
    ),
    Corruption(
        "lot.source", "lot anna/COIN/8", f"UPDATE lot SET source_id = '{GIFT}' WHERE seq = 8"
    ),
    Corruption(
        "withdrawal.entry",
        "withdrawal dora/COIN/3",
        "UPDATE withdrawal SET size = size - 1 WHERE first = 3",
    ),
    Corruption(
        "withdrawal.entry",
        "withdrawal dora/COIN/10",
        "UPDATE withdrawal SET seq = 4 WHERE first = 10",
    ),
    Corruption(
        "withdrawal.entry",
        "withdrawal ben/DIAMOND/0",
        "INSERT INTO withdrawal SELECT seq, 0, -amount, unit, owner_id FROM entry"
        " WHERE owner_id = 'ben' AND amount < 0 LIMIT 1",
    ),
    Corruption(
        "withdrawal.first",
        "withdrawal dora/COIN/7",
        "UPDATE withdrawal SET first = 7 WHERE first = 10",
    ),
    Corruption(
        "withdrawal.first",
        "withdrawal dora/COIN/14",
        "UPDATE withdrawal SET first = 14 WHERE first = 10",
    ),
    Corruption(
        "withdrawal.unspent",
        "withdrawal dora/COIN/8",
        "UPDATE withdrawal SET first = 8 WHERE first = 10",
    ),
    Corruption("account.taken", "account dora/COIN", "DELETE FROM withdrawal WHERE first = 10"),
    Corruption(
        "account.taken",
        "account dora/COIN",
        "UPDATE account SET taken = taken + 1, spent = spent - 1"
        " WHERE owner_id = 'dora' AND unit = 1",
    ),
    Corruption(
        "account.minted",
        "account anna/COIN",
        "UPDATE account SET spent = spent + 1 WHERE owner_id = 'anna' AND unit = 1",
    ),
]

AHEAD = [
    Corruption(
        "transaction.ahead",
        f"transactions {REFUSED_GIFT}",
        "UPDATE transactions SET create_time = create_time + interval '1 day'"
        f" WHERE id = '{REFUSED_GIFT}'",
    ),
    Corruption(
        "entry.ahead",
        "entry anna/COIN/8",
        """
        UPDATE entry SET create_time = create_time + interval '1 day'
         WHERE owner_id = 'anna' AND unit = 1 AND seq = 8;
        UPDATE account SET entry_time = entry_time + interval '1 day' WHERE owner_id = 'anna'
        """,
    ),
    Corruption(
        "account.ahead",
        "account cleo/DIAMOND",
        "UPDATE account SET entry_time = entry_time + interval '1 day'"
        " WHERE owner_id = 'cleo' AND unit = 2",
    ),
]
