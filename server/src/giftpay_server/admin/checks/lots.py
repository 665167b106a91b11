"""Lots and withdrawals: an odometer's positions, each minted once and at most once withdrawn."""

LOT_ENTRY = """
    WITH broken AS MATERIALIZED (
        SELECT l.owner_id, l.unit, l.seq, l.size, e.amount
          FROM account a
          JOIN lot l ON l.owner_id = a.owner_id AND l.unit = a.unit
          LEFT JOIN entry e ON e.owner_id = l.owner_id AND e.unit = l.unit AND e.seq = l.seq
         WHERE a.entry_time >= $1 AND e.amount IS DISTINCT FROM l.size
    )
    SELECT 'lot.entry' AS check, 'lot' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq) AS key,
           format('expected a credit of %s, found %s', size, coalesce(amount::text, 'none'))
               AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

# 1: COIN; diamonds are not traced.
ENTRY_LOT = """
    WITH broken AS MATERIALIZED (
        SELECT e.owner_id, e.seq, e.amount
          FROM entry e
          LEFT JOIN lot l ON l.owner_id = e.owner_id AND l.unit = e.unit AND l.seq = e.seq
         WHERE e.create_time >= $1 AND e.unit = 1 AND e.amount > 0 AND l.seq IS NULL
    )
    SELECT 'entry.lot' AS check, 'entry' AS table, concat_ws('/', owner_id, 'COIN', seq) AS key,
           format('expected a lot of %s, found none', amount) AS detail
      FROM broken
     ORDER BY owner_id, seq
     LIMIT 1
"""

LOT_FIRST = """
    WITH lots AS (
        SELECT l.owner_id, l.seq, l.first,
               lag(l.first + l.size, 1, 0::bigint)
                   OVER (PARTITION BY l.owner_id ORDER BY l.seq) AS expected
          FROM account a
          JOIN lot l ON l.owner_id = a.owner_id AND l.unit = a.unit
         WHERE a.entry_time >= $1 AND a.unit = 1
    ), broken AS MATERIALIZED (
        SELECT * FROM lots WHERE first <> expected
    )
    SELECT 'lot.first' AS check, 'lot' AS table, concat_ws('/', owner_id, 'COIN', seq) AS key,
           format('expected to begin at %s, found %s', expected, first) AS detail
      FROM broken
     ORDER BY owner_id, seq
     LIMIT 1
"""

# Paid and bonus (1, 2) come of an order's payment, a reversal (3) of the gift that it claims, an
# adjustment (4) of itself.
LOT_SOURCE = """
    WITH broken AS MATERIALIZED (
        SELECT l.owner_id, l.unit, l.seq, l.source_id, e.transaction_id
          FROM account a
          JOIN lot l ON l.owner_id = a.owner_id AND l.unit = a.unit
          JOIN entry e ON e.owner_id = l.owner_id AND e.unit = l.unit AND e.seq = l.seq
          LEFT JOIN money_movement m ON m.transaction_id = e.transaction_id
          LEFT JOIN claim c ON c.id = 'reversal:' || l.source_id
         WHERE a.entry_time >= $1
           AND CASE WHEN l.kind IN (1, 2) THEN l.source_id IS DISTINCT FROM m.subject_id
                    WHEN l.kind = 3 THEN e.transaction_id IS DISTINCT FROM c.transaction_id
                    ELSE l.kind <> 4 OR e.transaction_id <> l.source_id
               END
    )
    SELECT 'lot.source' AS check, 'lot' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq) AS key,
           format('expected a source of %s, found %s', transaction_id, source_id) AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

# Balances and lots are proven by entries, what was taken by withdrawals, so that this proves what
# was spent.
ACCOUNT_MINTED = """
    WITH broken AS MATERIALIZED (
        SELECT a.owner_id, a.balance + a.spent + a.taken AS minted,
               coalesce(l.first + l.size, 0) AS lots_end
          FROM account a
          LEFT JOIN LATERAL (
               SELECT first, size
                 FROM lot
                WHERE owner_id = a.owner_id AND unit = a.unit
                ORDER BY seq DESC
                LIMIT 1
               ) AS l ON true
         WHERE a.entry_time >= $1 AND a.unit = 1 AND a.owner_id !~ '^~'
           AND a.balance + a.spent + a.taken <> coalesce(l.first + l.size, 0)
    )
    SELECT 'account.minted' AS check, 'account' AS table, concat_ws('/', owner_id, 'COIN') AS key,
           format('expected lots of %s in all, found %s', minted, lots_end) AS detail
      FROM broken
     ORDER BY owner_id
     LIMIT 1
"""

# All rows of one entry together, told by the first of them.
WITHDRAWAL_ENTRY = """
    WITH taken AS (
        SELECT w.owner_id, w.unit, w.seq, min(w.first) AS first, sum(w.size) AS size
          FROM account a
          JOIN withdrawal w ON w.owner_id = a.owner_id AND w.unit = a.unit
         WHERE a.entry_time >= $1
         GROUP BY w.owner_id, w.unit, w.seq
    ), broken AS MATERIALIZED (
        SELECT t.*, e.amount
          FROM taken t
          LEFT JOIN entry e ON e.owner_id = t.owner_id AND e.unit = t.unit AND e.seq = t.seq
         WHERE t.unit <> 1 OR e.amount IS DISTINCT FROM -t.size
    )
    SELECT 'withdrawal.entry' AS check, 'withdrawal' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], first) AS key,
           format('expected an entry %s of %s coins, found %s', seq, -size,
                  coalesce(amount::text, 'none')) AS detail
      FROM broken
     ORDER BY owner_id, unit, first
     LIMIT 1
"""

# Each behind the one before it, and none behind what was minted by then.
WITHDRAWAL_FIRST = """
    WITH runs AS (
        SELECT w.owner_id, w.first, w.first + w.size AS past, coalesce(l.minted, 0) AS minted,
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
         WHERE a.entry_time >= $1 AND a.unit = 1
    ), broken AS MATERIALIZED (
        SELECT * FROM runs WHERE first < free OR past > minted
    )
    SELECT 'withdrawal.first' AS check, 'withdrawal' AS table,
           concat_ws('/', owner_id, 'COIN', first) AS key,
           format('expected positions from %s below %s, found %s below %s',
                  free, minted, first, past) AS detail
      FROM broken
     ORDER BY owner_id, first
     LIMIT 1
"""

# What had been spent is what had been minted, less the balance and what had been withdrawn; and as
# many of the positions that were not withdrawn lie before all that was still there.
WITHDRAWAL_UNSPENT = """
    WITH runs AS (
        SELECT w.owner_id, w.first, w.first - others.before AS rank,
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
         WHERE a.entry_time >= $1 AND a.unit = 1
    ), broken AS MATERIALIZED (
        SELECT * FROM runs WHERE rank < spent
    )
    SELECT 'withdrawal.unspent' AS check, 'withdrawal' AS table,
           concat_ws('/', owner_id, 'COIN', first) AS key,
           format('expected coins behind %s that were spent, found one behind %s', spent, rank)
               AS detail
      FROM broken
     ORDER BY owner_id, first
     LIMIT 1
"""

ACCOUNT_TAKEN = """
    WITH broken AS MATERIALIZED (
        SELECT a.owner_id, a.unit, a.taken, coalesce(w.size, 0) AS withdrawn
          FROM account a
          LEFT JOIN LATERAL (
               SELECT sum(size) AS size
                 FROM withdrawal
                WHERE owner_id = a.owner_id AND unit = a.unit
               ) AS w ON true
         WHERE a.entry_time >= $1 AND a.taken <> coalesce(w.size, 0)
    )
    SELECT 'account.taken' AS check, 'account' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           format('expected withdrawals of %s, found %s', taken, withdrawn) AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

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
