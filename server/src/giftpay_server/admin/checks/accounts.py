"""Checks accounts against their entries and holds, and holds against their transactions."""

from giftpay_server.journal.check import Check, of_account
from giftpay_server.journal.sql import POSTED
from giftpay_server.ledger.model import HoldState

ACCOUNT_LAST = of_account(
    name={"account.seq": "seq <> last", "account.balance": "balance <> after"},
    broken="""
        SELECT a.owner_id, a.unit, a.seq, a.balance,
               coalesce(e.seq, 0) AS last, coalesce(e.balance, 0) AS after
          FROM account a
          LEFT JOIN LATERAL (
               SELECT seq, balance
                 FROM entry
                WHERE owner_id = a.owner_id AND unit = a.unit
                ORDER BY seq DESC
                LIMIT 1
               ) AS e ON true
         WHERE a.entry_time >= $1 AND a.owner_id !~ '^~'
           AND (a.seq <> coalesce(e.seq, 0) OR a.balance <> coalesce(e.balance, 0))
    """,
    detail="""
        CASE WHEN seq <> last THEN format('expected a last entry %s, found %s', seq, last)
             ELSE format('expected a balance of %s, found %s', after, balance)
        END
    """,
)

# The floor is the balance after a claw-back, or zero; never above what is available.
ACCOUNT_FLOOR = of_account(
    name="account.floor",
    broken="""
        SELECT owner_id, unit, floor, balance, held
          FROM account
         WHERE entry_time >= $1 AND owner_id !~ '^~' AND floor > least(0, balance - held)
    """,
    detail="format('expected at most %s, found %s', least(0, balance - held), floor)",
)

ACCOUNT_OWNER = of_account(
    name="account.owner",
    broken="""
        SELECT a.owner_id, a.unit
          FROM account a
          LEFT JOIN owner o ON o.owner_id = a.owner_id
         WHERE a.entry_time >= $1 AND a.owner_id !~ '^~' AND a.seq > 0 AND o.owner_id IS NULL
    """,
    detail="'expected its owner, found none'",
)

ACCOUNT_HELD = of_account(
    name="account.held",
    broken=f"""
        SELECT a.owner_id, a.unit, a.held, coalesce(h.open, 0) AS open
          FROM account a
          LEFT JOIN LATERAL (
               SELECT sum(amount) AS open
                 FROM hold
                WHERE owner_id = a.owner_id AND unit = a.unit AND state = {HoldState.OPEN}
               ) AS h ON true
         WHERE a.entry_time >= $1 AND a.held <> coalesce(h.open, 0)
    """,
    detail="format('expected open holds of %s, found %s', held, open)",
)

HOLD_TRANSACTION = Check(
    name="hold.transaction",
    table="hold",
    broken=f"""
        SELECT h.owner_id, h.hold_id, t.reason
          FROM account a
          JOIN hold h ON h.owner_id = a.owner_id AND h.unit = a.unit
          LEFT JOIN transactions t ON t.id = h.hold_id
         WHERE a.entry_time >= $1
           AND (t.reason IS DISTINCT FROM {POSTED} OR t.create_time <> h.create_time)
    """,
    key="owner_id, hold_id",
    detail=f"""
        CASE WHEN reason IS NULL THEN 'expected the transaction that placed it, found none'
             WHEN reason <> {POSTED} THEN 'expected a posted transaction, found a refused one'
             ELSE 'expected the time of its transaction, found another'
        END
    """,
)

# Reads every entry. For coins, account.minted proves the same faster.
ACCOUNT_SPENT = of_account(
    name="account.spent",
    broken="""
        WITH debited AS (
            SELECT owner_id, unit, -sum(amount) AS spent FROM entry WHERE amount < 0 GROUP BY 1, 2
        )
        SELECT a.owner_id, a.unit, a.spent + a.taken AS spent, coalesce(d.spent, 0) AS debited
          FROM account a
          LEFT JOIN debited d ON d.owner_id = a.owner_id AND d.unit = a.unit
         WHERE a.spent + a.taken <> coalesce(d.spent, 0)
    """,
    detail="format('expected debits of %s, found %s', spent, debited)",
    whole=True,
)

CHECKS = (
    ACCOUNT_LAST,
    ACCOUNT_FLOOR,
    ACCOUNT_OWNER,
    ACCOUNT_HELD,
    HOLD_TRANSACTION,
    ACCOUNT_SPENT,
)
