"""Checks lots and withdrawals: each position is minted once and withdrawn at most once."""

from functools import partial

from giftpay.v1 import UNIT_COIN

from giftpay_server.journal.check import Check, of_account, of_entry, of_lot
from giftpay_server.journal.sql import among
from giftpay_server.ledger.model import LotKind

of_withdrawal = partial(Check, table="withdrawal", key="owner_id, unit, first")

LOT_ENTRY = of_lot(
    name="lot.entry",
    broken="""
        SELECT l.owner_id, l.unit, l.seq, l.size, e.amount
          FROM account a
          JOIN lot l ON l.owner_id = a.owner_id AND l.unit = a.unit
          LEFT JOIN entry e ON e.owner_id = l.owner_id AND e.unit = l.unit AND e.seq = l.seq
         WHERE a.entry_time >= $1 AND e.amount IS DISTINCT FROM l.size
    """,
    detail="format('expected a credit of %s, found %s', size, coalesce(amount::text, 'none'))",
)

# Diamonds are not traced.
ENTRY_LOT = of_entry(
    name="entry.lot",
    broken=f"""
        SELECT e.owner_id, e.unit, e.seq, e.amount
          FROM entry e
          LEFT JOIN lot l ON l.owner_id = e.owner_id AND l.unit = e.unit AND l.seq = e.seq
         WHERE e.create_time >= $1 AND e.unit = {UNIT_COIN} AND e.amount > 0 AND l.seq IS NULL
    """,
    detail="format('expected a lot of %s, found none', amount)",
)

LOT_FIRST = of_lot(
    name="lot.first",
    broken=f"""
        WITH lots AS (
            SELECT l.owner_id, l.unit, l.seq, l.first,
                   lag(l.first + l.size, 1, 0::bigint)
                       OVER (PARTITION BY l.owner_id ORDER BY l.seq) AS expected
              FROM account a
              JOIN lot l ON l.owner_id = a.owner_id AND l.unit = a.unit
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN}
        )
        SELECT * FROM lots WHERE first <> expected
    """,
    detail="format('expected to begin at %s, found %s', expected, first)",
)

BOUGHT = (LotKind.PAID, LotKind.BONUS)

# The source of a purchase is the order of its payment, that of a reversal is the gift that it
# claims, and that of an adjustment is itself.
LOT_SOURCE = of_lot(
    name="lot.source",
    broken=f"""
        SELECT l.owner_id, l.unit, l.seq, l.source_id, e.transaction_id
          FROM account a
          JOIN lot l ON l.owner_id = a.owner_id AND l.unit = a.unit
          JOIN entry e ON e.owner_id = l.owner_id AND e.unit = l.unit AND e.seq = l.seq
          LEFT JOIN money_movement m ON m.transaction_id = e.transaction_id
          LEFT JOIN claim c ON c.id = 'reversal:' || l.source_id
         WHERE a.entry_time >= $1
           AND CASE WHEN l.kind IN {among(BOUGHT)} THEN l.source_id IS DISTINCT FROM m.subject_id
                    WHEN l.kind = {LotKind.REVERSAL}
                    THEN e.transaction_id IS DISTINCT FROM c.transaction_id
                    ELSE l.kind <> {LotKind.ADJUSTMENT} OR e.transaction_id <> l.source_id
               END
    """,
    detail="format('expected a source of %s, found %s', transaction_id, source_id)",
)

# Other checks prove the balance, the lots and what was taken; so this one proves what was spent.
ACCOUNT_MINTED = of_account(
    name="account.minted",
    broken=f"""
        SELECT a.owner_id, a.unit, a.balance + a.spent + a.taken AS minted,
               coalesce(l.first + l.size, 0) AS lots_end
          FROM account a
          LEFT JOIN LATERAL (
               SELECT first, size
                 FROM lot
                WHERE owner_id = a.owner_id AND unit = a.unit
                ORDER BY seq DESC
                LIMIT 1
               ) AS l ON true
         WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN} AND a.owner_id !~ '^~'
           AND a.balance + a.spent + a.taken <> coalesce(l.first + l.size, 0)
    """,
    detail="format('expected lots of %s in all, found %s', minted, lots_end)",
)

# Adds up all rows of one entry, and reports the first of them.
WITHDRAWAL_ENTRY = of_withdrawal(
    name="withdrawal.entry",
    broken=f"""
        WITH taken AS (
            SELECT w.owner_id, w.unit, w.seq, min(w.first) AS first, sum(w.size) AS size
              FROM account a
              JOIN withdrawal w ON w.owner_id = a.owner_id AND w.unit = a.unit
             WHERE a.entry_time >= $1
             GROUP BY w.owner_id, w.unit, w.seq
        )
        SELECT t.*, e.amount
          FROM taken t
          LEFT JOIN entry e ON e.owner_id = t.owner_id AND e.unit = t.unit AND e.seq = t.seq
         WHERE t.unit <> {UNIT_COIN} OR e.amount IS DISTINCT FROM -t.size
    """,
    detail="""
        format('expected an entry %s of %s coins, found %s', seq, -size,
               coalesce(amount::text, 'none'))
    """,
)

# Each row begins after the previous one ends, and ends within what was minted by then.
WITHDRAWAL_FIRST = of_withdrawal(
    name="withdrawal.first",
    broken=f"""
        WITH runs AS (
            SELECT w.owner_id, w.unit, w.first, w.first + w.size AS past,
                   coalesce(l.minted, 0) AS minted,
                   lag(w.first + w.size, 1, 0::bigint)
                       OVER (PARTITION BY w.owner_id ORDER BY w.first) AS free
              FROM account a
              JOIN withdrawal w ON w.owner_id = a.owner_id AND w.unit = a.unit
              LEFT JOIN LATERAL (
                   SELECT first + size AS minted
                     FROM lot
                    WHERE owner_id = w.owner_id AND unit = w.unit AND seq < w.seq
                    ORDER BY seq DESC
                    LIMIT 1
                   ) AS l ON true
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN}
        )
        SELECT * FROM runs WHERE first < free OR past > minted
    """,
    detail="""
        format('expected positions from %s below %s, found %s below %s', free, minted, first, past)
    """,
)

# Before the withdrawal: spent = minted - balance - withdrawn. The rank of a withdrawn position
# among those not withdrawn before it must not be below that.
WITHDRAWAL_UNSPENT = of_withdrawal(
    name="withdrawal.unspent",
    broken=f"""
        WITH runs AS (
            SELECT w.owner_id, w.unit, w.first, w.first - others.before AS rank,
                   l.first + l.size - e.balance - others.taken AS spent
              FROM account a
              JOIN withdrawal w ON w.owner_id = a.owner_id AND w.unit = a.unit
              JOIN entry e ON e.owner_id = w.owner_id AND e.unit = w.unit AND e.seq = w.seq
             CROSS JOIN LATERAL (
                   SELECT first, size
                     FROM lot
                    WHERE owner_id = w.owner_id AND unit = w.unit AND seq < w.seq
                    ORDER BY seq DESC
                    LIMIT 1
                   ) AS l
             CROSS JOIN LATERAL (
                   SELECT coalesce(sum(size) FILTER (WHERE seq <= w.seq), 0) AS taken,
                          coalesce(sum(size) FILTER (WHERE seq < w.seq AND first < w.first), 0)
                              AS before
                     FROM withdrawal
                    WHERE owner_id = w.owner_id AND unit = w.unit
                   ) AS others
             WHERE a.entry_time >= $1 AND a.unit = {UNIT_COIN}
        )
        SELECT * FROM runs WHERE rank < spent
    """,
    detail="format('expected coins behind %s that were spent, found one behind %s', spent, rank)",
)

ACCOUNT_TAKEN = of_account(
    name="account.taken",
    broken="""
        SELECT a.owner_id, a.unit, a.taken, coalesce(w.size, 0) AS withdrawn
          FROM account a
          LEFT JOIN LATERAL (
               SELECT sum(size) AS size
                 FROM withdrawal
                WHERE owner_id = a.owner_id AND unit = a.unit
               ) AS w ON true
         WHERE a.entry_time >= $1 AND a.taken <> coalesce(w.size, 0)
    """,
    detail="format('expected withdrawals of %s, found %s', taken, withdrawn)",
)

CHECKS = (
    LOT_ENTRY,
    ENTRY_LOT,
    LOT_FIRST,
    LOT_SOURCE,
    WITHDRAWAL_ENTRY,
    WITHDRAWAL_FIRST,
    WITHDRAWAL_UNSPENT,
    ACCOUNT_TAKEN,
    ACCOUNT_MINTED,
)
