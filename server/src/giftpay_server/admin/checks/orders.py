"""Orders for coins, against the payments and the entries that they brought."""

TOP_UP_TRANSACTION = """
    WITH broken AS MATERIALIZED (
        SELECT o.top_up_id
          FROM account a
          JOIN top_up o ON o.owner_id = a.owner_id
          LEFT JOIN transactions t
            ON t.id = o.top_up_id AND t.kind = 4 AND t.reason = 0  -- 4: CREATE_TOP_UP
           AND t.create_time = o.create_time AND t.catalog_version = o.catalog_version
         WHERE a.entry_time >= $1 AND a.unit = 1 AND t.id IS NULL
    )
    SELECT 'top_up.transaction' AS check, 'top_up' AS table, top_up_id::text AS key,
           'expected a posted transaction of its time and catalog, found none' AS detail
      FROM broken
     ORDER BY top_up_id
     LIMIT 1
"""

# An order that is paid (2) has one payment; any other has none.
TOP_UP_PAYMENT = """
    WITH orders AS (
        SELECT o.top_up_id, o.state, m.transaction_id,
               (o.minor_units, o.currency, o.payment_reference, o.pay_time)::text AS expected,
               (m.minor_units, m.currency, m.reference, m.create_time)::text AS found
          FROM account a
          JOIN top_up o ON o.owner_id = a.owner_id
          LEFT JOIN money_movement m ON m.subject_id = o.top_up_id
         WHERE a.entry_time >= $1 AND a.unit = 1
    ), broken AS MATERIALIZED (
        SELECT *
          FROM orders
         WHERE (state = 2) <> (transaction_id IS NOT NULL) OR state = 2 AND expected <> found
    )
    SELECT 'top_up.payment' AS check, 'top_up' AS table, top_up_id::text AS key,
           CASE WHEN state <> 2 THEN format('expected no payment, found %s', found)
                WHEN transaction_id IS NULL THEN format('expected %s, found none', expected)
                ELSE format('expected %s, found %s', expected, found)
           END AS detail
      FROM broken
     ORDER BY top_up_id
     LIMIT 1
"""

TOP_UP_CLAIM = """
    WITH broken AS MATERIALIZED (
        SELECT m.transaction_id, m.provider, m.reference, c.transaction_id AS claimed_by
          FROM account a
          JOIN top_up o ON o.owner_id = a.owner_id
          JOIN money_movement m ON m.subject_id = o.top_up_id
          LEFT JOIN claim c ON c.id = concat_ws(':', 'payment', m.provider, m.reference)
         WHERE a.entry_time >= $1 AND a.unit = 1
           AND c.transaction_id IS DISTINCT FROM m.transaction_id
    )
    SELECT 'top_up.claim' AS check, 'claim' AS table,
           concat_ws(':', 'payment', provider, reference) AS key,
           format('expected %s, found %s', transaction_id, coalesce(claimed_by::text, 'none'))
               AS detail
      FROM broken
     ORDER BY provider, reference
     LIMIT 1
"""

# The coins bought (system account 1, a lot of kind 1 with the price), then the bonus (2 and 2).
TOP_UP_COINS = """
    WITH paid AS (
        SELECT o.*, m.transaction_id
          FROM account a
          JOIN top_up o ON o.owner_id = a.owner_id
          JOIN money_movement m ON m.subject_id = o.top_up_id
         WHERE a.entry_time >= $1 AND a.unit = 1
    ), credited AS (
        SELECT p.top_up_id,
               concat_ws(' ',
                   (p.owner_id, 1, 1, p.coins, 1, p.top_up_id, p.minor_units, p.currency)::text,
                   CASE WHEN p.bonus_coins > 0
                        THEN (p.owner_id, 1, 2, p.bonus_coins, 2, p.top_up_id, NULL, NULL)::text
                   END
               ) AS expected,
               (SELECT string_agg(
                           (e.owner_id, e.unit, e.system_account, e.amount,
                            l.kind, l.source_id, l.price, l.currency)::text,
                           ' ' ORDER BY e.seq
                       )
                  FROM transactions t
                 CROSS JOIN LATERAL unnest(string_to_array(t.entries, ' ')) AS ref
                  JOIN entry e
                    ON e.owner_id = split_part(ref, '/', 1)
                   AND e.unit = split_part(ref, '/', 2)::smallint
                   AND e.seq = split_part(ref, '/', 3)::bigint
                  LEFT JOIN lot l
                    ON l.owner_id = e.owner_id AND l.unit = e.unit AND l.seq = e.seq
                 WHERE t.id = p.transaction_id
               ) AS found
          FROM paid p
    ), broken AS MATERIALIZED (
        SELECT * FROM credited WHERE expected IS DISTINCT FROM found
    )
    SELECT 'top_up.coins' AS check, 'top_up' AS table, top_up_id::text AS key,
           format('expected %s, found %s', expected, coalesce(found, 'none')) AS detail
      FROM broken
     ORDER BY top_up_id
     LIMIT 1
"""

CHECKS = (TOP_UP_TRANSACTION, TOP_UP_PAYMENT, TOP_UP_CLAIM, TOP_UP_COINS)
