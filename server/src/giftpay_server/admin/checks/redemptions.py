"""Redemptions, against the holds, payouts and entries that they brought."""

REDEMPTION_TRANSACTION = """
    WITH broken AS MATERIALIZED (
        SELECT r.redemption_id
          FROM account a
          JOIN redemption r ON r.owner_id = a.owner_id
          LEFT JOIN transactions t
            ON t.id = r.redemption_id AND t.kind = 8 AND t.reason = 0  -- 8: CREATE_REDEMPTION
           AND t.create_time = r.create_time AND t.catalog_version = r.catalog_version
         WHERE a.entry_time >= $1 AND a.unit = 2 AND t.id IS NULL
    )
    SELECT 'redemption.transaction' AS check, 'redemption' AS table, redemption_id::text AS key,
           'expected a posted transaction of its time and catalog, found none' AS detail
      FROM broken
     ORDER BY redemption_id
     LIMIT 1
"""

# Open (1) until the provider's word is there; captured (2) if it paid, also where the money came
# back; released (3) otherwise.
REDEMPTION_HOLD = """
    WITH holds AS (
        SELECT r.redemption_id,
               (2, r.diamonds,
                CASE WHEN r.state IN (1, 2, 3) THEN 1
                     WHEN EXISTS (SELECT 1 FROM money_movement m
                                   WHERE m.subject_id = r.redemption_id)
                     THEN 2
                     ELSE 3
                END)::text AS expected,
               (h.unit, h.amount, h.state)::text AS found
          FROM account a
          JOIN redemption r ON r.owner_id = a.owner_id
          LEFT JOIN hold h ON h.owner_id = r.owner_id AND h.hold_id = r.redemption_id
         WHERE a.entry_time >= $1 AND a.unit = 2
    ), broken AS MATERIALIZED (
        SELECT * FROM holds WHERE expected <> found
    )
    SELECT 'redemption.hold' AS check, 'redemption' AS table, redemption_id::text AS key,
           format('expected unit, amount and state %s, found %s', expected, found) AS detail
      FROM broken
     ORDER BY redemption_id
     LIMIT 1
"""

# Paid (4) is one payout and the debit with it; returned (5) after that, the same again the other
# way round; any other state has neither.
REDEMPTION_PAYOUT = """
    WITH payouts AS (
        SELECT r.redemption_id, r.state,
               (r.fee - r.gross, r.currency, r.provider_key,
                r.owner_id, 2, 5, -r.diamonds)::text AS paid,
               (r.gross - r.fee, r.currency, r.provider_key,
                r.owner_id, 2, 5, r.diamonds)::text AS returned,
               (SELECT string_agg(
                           (m.minor_units, m.currency, m.reference,
                            e.owner_id, e.unit, e.system_account, e.amount)::text,
                           ' ' ORDER BY m.minor_units, e.seq
                       )
                  FROM money_movement m
                  LEFT JOIN transactions t ON t.id = m.transaction_id
                  LEFT JOIN LATERAL unnest(string_to_array(t.entries, ' ')) AS ref ON true
                  LEFT JOIN entry e
                    ON e.owner_id = split_part(ref, '/', 1)
                   AND e.unit = split_part(ref, '/', 2)::smallint
                   AND e.seq = split_part(ref, '/', 3)::bigint
                 WHERE m.subject_id = r.redemption_id
               ) AS found
          FROM account a
          JOIN redemption r ON r.owner_id = a.owner_id
         WHERE a.entry_time >= $1 AND a.unit = 2
    ), expected AS (
        SELECT redemption_id, found,
               CASE WHEN state = 4 THEN paid
                    WHEN state = 5 AND found IS NOT NULL THEN concat_ws(' ', paid, returned)
               END AS expected
          FROM payouts
    ), broken AS MATERIALIZED (
        SELECT * FROM expected WHERE expected IS DISTINCT FROM found
    )
    SELECT 'redemption.payout' AS check, 'redemption' AS table, redemption_id::text AS key,
           format('expected %s, found %s', coalesce(expected, 'none'), coalesce(found, 'none'))
               AS detail
      FROM broken
     ORDER BY redemption_id
     LIMIT 1
"""

CHECKS = (REDEMPTION_TRANSACTION, REDEMPTION_HOLD, REDEMPTION_PAYOUT)
