"""What transactions leave beside entries, and what entries stand for: each has its other half."""

# 4 and 8: CREATE_TOP_UP and CREATE_REDEMPTION; each leaves a row under its own id.
TRANSACTION_ROW = """
    WITH broken AS MATERIALIZED (
        SELECT t.id, CASE t.kind WHEN 4 THEN 'top_up' ELSE 'redemption' END AS kind
          FROM transactions t
          LEFT JOIN top_up o ON o.top_up_id = t.id
          LEFT JOIN redemption r ON r.redemption_id = t.id
         WHERE t.create_time >= $1 AND t.kind IN (4, 8) AND t.reason = 0
           AND CASE t.kind WHEN 4 THEN o.top_up_id ELSE r.redemption_id END IS NULL
    )
    SELECT 'transaction.row' AS check, kind AS table, id::text AS key,
           'expected the row that its transaction made, found none' AS detail
      FROM broken
     ORDER BY id
     LIMIT 1
"""

TRANSACTION_CATALOG = """
    WITH broken AS MATERIALIZED (
        SELECT t.id, t.catalog_version
          FROM transactions t
          LEFT JOIN catalog c ON c.version = t.catalog_version
         WHERE t.create_time >= $1 AND t.catalog_version <> 0 AND c.version IS NULL
    )
    SELECT 'transaction.catalog_version' AS check, 'transactions' AS table, id::text AS key,
           format('expected a catalog %s, found none', catalog_version) AS detail
      FROM broken
     ORDER BY id
     LIMIT 1
"""

# 3: APPLY_CATALOG.
CATALOG_TRANSACTION = """
    WITH broken AS MATERIALIZED (
        SELECT c.version, c.transaction_id, t.id, p.version AS earlier
          FROM catalog c
          LEFT JOIN catalog p ON p.version = c.version - 1
          LEFT JOIN transactions t
            ON t.id = c.transaction_id AND t.kind = 3 AND t.reason = 0
           AND t.create_time = c.create_time
         WHERE c.create_time >= $1 AND (t.id IS NULL OR p.version IS NULL AND c.version > 1)
    )
    SELECT CASE WHEN id IS NULL THEN 'catalog.transaction' ELSE 'catalog.version' END AS check,
           'catalog' AS table, version::text AS key,
           CASE WHEN id IS NULL THEN format('expected it of %s, found none', transaction_id)
                ELSE 'expected the version before it, found none'
           END AS detail
      FROM broken
     ORDER BY version
     LIMIT 1
"""

# 1, 2 and 5: ISSUANCE, PROMOTION and PAYOUTS; nothing moves against them unless money does.
ENTRY_MONEY = """
    WITH broken AS MATERIALIZED (
        SELECT e.owner_id, e.unit, e.seq
          FROM entry e
          LEFT JOIN money_movement m ON m.transaction_id = e.transaction_id
         WHERE e.create_time >= $1 AND e.system_account IN (1, 2, 5) AND m.transaction_id IS NULL
    )
    SELECT 'entry.money' AS check, 'entry' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq) AS key,
           'expected a movement of money in its transaction, found none' AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

# 12: GIFT_REVERSAL, its gift the other way round; 7: PLATFORM_LOSS, what it gave beside that. The
# lot of the coins that came back names the gift.
REVERSAL_GIFT = """
    WITH reversals AS (
        SELECT t.id, t.entries, g.entries AS gift_entries
          FROM transactions t
         CROSS JOIN LATERAL unnest(string_to_array(t.entries, ' ')) AS ref
          JOIN lot l
            ON l.owner_id = split_part(ref, '/', 1)
           AND l.unit = split_part(ref, '/', 2)::smallint
           AND l.seq = split_part(ref, '/', 3)::bigint
          LEFT JOIN transactions g ON g.id = l.source_id
         WHERE t.create_time >= $1 AND t.kind = 12 AND t.reason = 0
    ), moved AS (
        SELECT r.id,
               (SELECT string_agg((e.owner_id, e.unit, e.system_account, -e.amount)::text,
                                  ' ' ORDER BY e.unit)
                  FROM unnest(string_to_array(r.gift_entries, ' ')) AS ref
                  JOIN entry e
                    ON e.owner_id = split_part(ref, '/', 1)
                   AND e.unit = split_part(ref, '/', 2)::smallint
                   AND e.seq = split_part(ref, '/', 3)::bigint
               ) AS expected,
               (SELECT string_agg((e.owner_id, e.unit, e.system_account, e.amount)::text,
                                  ' ' ORDER BY e.unit)
                  FROM unnest(string_to_array(r.entries, ' ')) AS ref
                  JOIN entry e
                    ON e.owner_id = split_part(ref, '/', 1)
                   AND e.unit = split_part(ref, '/', 2)::smallint
                   AND e.seq = split_part(ref, '/', 3)::bigint
                 WHERE e.system_account <> 7
               ) AS found
          FROM reversals r
    ), broken AS MATERIALIZED (
        SELECT * FROM moved WHERE expected IS DISTINCT FROM found
    )
    SELECT 'reversal.gift' AS check, 'transactions' AS table, id::text AS key,
           format('expected %s, found %s', coalesce(expected, 'none'), found) AS detail
      FROM broken
     ORDER BY id
     LIMIT 1
"""

CHECKS = (TRANSACTION_ROW, TRANSACTION_CATALOG, CATALOG_TRANSACTION, ENTRY_MONEY, REVERSAL_GIFT)

MONEY_TRANSACTION = """
    WITH broken AS MATERIALIZED (
        SELECT m.transaction_id, m.subject_id, t.id
          FROM money_movement m
          LEFT JOIN transactions t
            ON t.id = m.transaction_id AND t.reason = 0 AND t.create_time = m.create_time
          LEFT JOIN top_up o ON o.top_up_id = m.subject_id
          LEFT JOIN redemption r ON r.redemption_id = m.subject_id
         WHERE t.id IS NULL OR o.top_up_id IS NULL AND r.redemption_id IS NULL
    )
    SELECT CASE WHEN id IS NULL THEN 'money_movement.transaction'
                ELSE 'money_movement.subject'
           END AS check,
           'money_movement' AS table, transaction_id::text AS key,
           CASE WHEN id IS NULL THEN 'expected a posted transaction of its time, found none'
                ELSE format('expected an order or a redemption %s, found none', subject_id)
           END AS detail
      FROM broken
     ORDER BY transaction_id
     LIMIT 1
"""

CLAIM_TRANSACTION = """
    WITH broken AS MATERIALIZED (
        SELECT c.id, c.transaction_id
          FROM claim c
          LEFT JOIN transactions t ON t.id = c.transaction_id AND t.reason = 0
         WHERE t.id IS NULL
    )
    SELECT 'claim.transaction' AS check, 'claim' AS table, id AS key,
           format('expected a posted transaction %s, found none', transaction_id) AS detail
      FROM broken
     ORDER BY id
     LIMIT 1
"""

# 4: CREATOR_EARNINGS; a credit against it is a gift.
CONTEXT_ENTRY = """
    WITH broken AS MATERIALIZED (
        SELECT g.owner_id, g.context, g.seq
          FROM gift_context g
          LEFT JOIN entry e
            ON e.owner_id = g.owner_id AND e.unit = 2 AND e.seq = g.seq
           AND e.system_account = 4 AND e.amount > 0
         WHERE e.seq IS NULL
    )
    SELECT 'gift_context.entry' AS check, 'gift_context' AS table,
           concat_ws('/', owner_id, context, seq) AS key,
           'expected the entry of a gift, found none' AS detail
      FROM broken
     ORDER BY owner_id, context, seq
     LIMIT 1
"""

# Nothing tells the age of these rows: they are looked at when everything is.
WHOLE_CHECKS = (MONEY_TRANSACTION, CLAIM_TRANSACTION, CONTEXT_ENTRY)
