"""Entries and transactions: each accounts for the other, each entry for the one before it."""

# A refused transaction lists nothing, and no list names an entry twice. What passes is safe to
# take apart; the checks below rely on it.
TRANSACTION_LIST = r"""
    WITH broken AS MATERIALIZED (
        SELECT t.id, t.entries, t.reason
          FROM transactions t
         CROSS JOIN LATERAL (
               SELECT count(*) AS listed, count(DISTINCT ref) AS entries
                 FROM unnest(string_to_array(t.entries, ' ')) AS ref
               ) AS list
         WHERE t.create_time >= $1
           AND (t.reason <> 0 AND t.entries <> '' OR list.listed <> list.entries
                OR t.entries !~ '^([^ /~]+/[12]/[1-9][0-9]{0,17}( (?!$)|$))*$')
    )
    SELECT 'transaction.list' AS check, 'transactions' AS table, id::text AS key,
           CASE WHEN reason <> 0
                THEN format('expected no entries of a refusal, found %L', entries)
                ELSE format('expected distinct entries, found %L', entries)
           END AS detail
      FROM broken
     ORDER BY id
     LIMIT 1
"""

# What each kind may move: in which unit, against which system account, which way.
#      5: CONFIRM_TOP_UP from ISSUANCE and PROMOTION    11: ADJUSTMENT, either way
#      7: GIFT to GIFT_SALES, from CREATOR_EARNINGS     12: GIFT_REVERSAL back, with PLATFORM_LOSS
#     10: PAYOUT_STEP to PAYOUTS, and back
# An entry is as old as its transaction, or as its account then was, whichever is later.
ENTRY_TRANSACTION = """
    WITH booked AS (
        SELECT e.owner_id, e.unit, e.seq, e.create_time, e.transaction_id, t.entries, t.kind,
               t.create_time AS decide_time,
               concat_ws('/', e.owner_id, e.unit, e.seq)
                   = ANY (string_to_array(t.entries, ' ')) AS listed,
               (t.kind, e.unit, e.system_account, sign(e.amount)) IN (
                   (5, 1, 1, 1), (5, 1, 2, 1), (7, 1, 3, -1), (7, 2, 4, 1), (10, 2, 5, -1),
                   (10, 2, 5, 1), (11, 1, 8, -1), (11, 1, 8, 1), (11, 2, 8, -1), (11, 2, 8, 1),
                   (12, 1, 3, 1), (12, 2, 4, -1), (12, 2, 7, 1)
               ) AS usual
          FROM entry e
          LEFT JOIN transactions t ON t.id = e.transaction_id
         WHERE e.create_time >= $1
    ), broken AS MATERIALIZED (
        SELECT *
          FROM booked
         WHERE listed IS NOT TRUE OR create_time < decide_time OR usual IS NOT TRUE
    )
    SELECT CASE WHEN listed AND create_time >= decide_time THEN 'entry.system_account'
                ELSE 'entry.transaction'
           END AS check,
           'entry' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq) AS key,
           CASE WHEN listed IS NULL
                THEN format('expected the transaction %s, found none', transaction_id)
                WHEN NOT listed
                THEN format('expected to be listed by %s, found %L', transaction_id, entries)
                WHEN create_time < decide_time
                THEN format('expected %s or later, found %s', decide_time, create_time)
                ELSE format('expected what a transaction of kind %s moves, found another', kind)
           END AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

# Each entry stands on the one before it, so that the first is 1 and none between is missing.
ENTRY_FOLLOWS = """
    WITH broken AS MATERIALIZED (
        SELECT e.owner_id, e.unit, e.seq, e.balance, e.create_time,
               p.seq IS NULL AND e.seq > 1 AS gap,
               coalesce(p.balance, 0) + e.amount AS expected,
               p.create_time AS earlier_time
          FROM entry e
          LEFT JOIN entry p ON p.owner_id = e.owner_id AND p.unit = e.unit AND p.seq = e.seq - 1
         WHERE e.create_time >= $1
           AND (p.seq IS NULL AND e.seq > 1 OR e.balance <> coalesce(p.balance, 0) + e.amount
                OR e.create_time < p.create_time)
    )
    SELECT CASE WHEN gap THEN 'entry.seq'
                WHEN balance <> expected THEN 'entry.balance'
                ELSE 'entry.create_time'
           END AS check,
           'entry' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq - gap::integer) AS key,
           CASE WHEN gap THEN format('expected an entry before %s, found none', seq)
                WHEN balance <> expected
                THEN format('expected a balance of %s, found %s', expected, balance)
                ELSE format('expected %s or later, found %s', earlier_time, create_time)
           END AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

TRANSACTION_ENTRIES = """
    WITH broken AS MATERIALIZED (
        SELECT t.id, ref, e.transaction_id AS found
          FROM transactions t
         CROSS JOIN LATERAL unnest(string_to_array(t.entries, ' ')) AS ref
          LEFT JOIN entry e
            ON e.owner_id = split_part(ref, '/', 1)
           AND e.unit = split_part(ref, '/', 2)::smallint
           AND e.seq = split_part(ref, '/', 3)::bigint
         WHERE t.create_time >= $1 AND e.transaction_id IS DISTINCT FROM t.id
    )
    SELECT 'transaction.entries' AS check, 'transactions' AS table, id::text AS key,
           format('expected its entry %s, found %s', ref, coalesce('one of ' || found, 'none'))
               AS detail
      FROM broken
     ORDER BY id, ref
     LIMIT 1
"""

# Also what makes looking at the accounts that were touched enough.
ENTRY_ACCOUNT = """
    WITH broken AS MATERIALIZED (
        SELECT e.owner_id, e.unit, e.seq, e.create_time, a.seq AS last, a.entry_time
          FROM entry e
          LEFT JOIN account a ON a.owner_id = e.owner_id AND a.unit = e.unit
         WHERE e.create_time >= $1
           AND (a.seq IS NULL OR e.seq > a.seq OR e.create_time > a.entry_time)
    )
    SELECT 'entry.account' AS check, 'entry' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq) AS key,
           CASE WHEN last IS NULL THEN 'expected its account, found none'
                ELSE format('expected at most entry %s of %s, found one of %s',
                            last, entry_time, create_time)
           END AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

CHECKS = (
    TRANSACTION_LIST,
    ENTRY_TRANSACTION,
    ENTRY_FOLLOWS,
    TRANSACTION_ENTRIES,
    ENTRY_ACCOUNT,
)
