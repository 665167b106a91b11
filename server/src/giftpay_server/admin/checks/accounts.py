"""Accounts and holds, against the entries and the holds that made them what they are."""

ACCOUNT_LAST = """
    WITH broken AS MATERIALIZED (
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
    )
    SELECT CASE WHEN seq <> last THEN 'account.seq' ELSE 'account.balance' END AS check,
           'account' AS table, concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           CASE WHEN seq <> last THEN format('expected a last entry %s, found %s', seq, last)
                ELSE format('expected a balance of %s, found %s', after, balance)
           END AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

# The floor is where a claw-back left the account, and never above what is available.
ACCOUNT_FLOOR = """
    WITH broken AS MATERIALIZED (
        SELECT owner_id, unit, floor, balance, held
          FROM account
         WHERE entry_time >= $1 AND owner_id !~ '^~' AND floor > least(0, balance - held)
    )
    SELECT 'account.floor' AS check, 'account' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           format('expected at most %s, found %s', least(0, balance - held), floor) AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

ACCOUNT_OWNER = """
    WITH broken AS MATERIALIZED (
        SELECT a.owner_id, a.unit
          FROM account a
          LEFT JOIN owner o ON o.owner_id = a.owner_id
         WHERE a.entry_time >= $1 AND a.owner_id !~ '^~' AND a.seq > 0 AND o.owner_id IS NULL
    )
    SELECT 'account.owner' AS check, 'account' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           'expected its owner, found none' AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

ACCOUNT_HELD = """
    WITH broken AS MATERIALIZED (
        SELECT a.owner_id, a.unit, a.held, coalesce(h.open, 0) AS open
          FROM account a
          LEFT JOIN LATERAL (
               SELECT sum(amount) AS open
                 FROM hold
                WHERE owner_id = a.owner_id AND unit = a.unit AND state = 1  -- open
               ) AS h ON true
         WHERE a.entry_time >= $1 AND a.held <> coalesce(h.open, 0)
    )
    SELECT 'account.held' AS check, 'account' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           format('expected open holds of %s, found %s', held, open) AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

HOLD_TRANSACTION = """
    WITH broken AS MATERIALIZED (
        SELECT h.owner_id, h.hold_id, t.reason
          FROM account a
          JOIN hold h ON h.owner_id = a.owner_id AND h.unit = a.unit
          LEFT JOIN transactions t ON t.id = h.hold_id
         WHERE a.entry_time >= $1
           AND (t.reason IS DISTINCT FROM 0 OR t.create_time <> h.create_time)
    )
    SELECT 'hold.transaction' AS check, 'hold' AS table, concat_ws('/', owner_id, hold_id) AS key,
           CASE WHEN reason IS NULL THEN 'expected the transaction that placed it, found none'
                WHEN reason <> 0 THEN 'expected a posted transaction, found a refused one'
                ELSE 'expected the time of its transaction, found another'
           END AS detail
      FROM broken
     ORDER BY owner_id, hold_id
     LIMIT 1
"""

CHECKS = (ACCOUNT_LAST, ACCOUNT_FLOOR, ACCOUNT_OWNER, ACCOUNT_HELD, HOLD_TRANSACTION)

# Of coins the lots tell as much, quickly; this reads every entry.
ACCOUNT_SPENT = """
    WITH debited AS (
        SELECT owner_id, unit, -sum(amount) AS spent FROM entry WHERE amount < 0 GROUP BY 1, 2
    ), broken AS MATERIALIZED (
        SELECT a.owner_id, a.unit, a.spent + a.taken AS spent, coalesce(d.spent, 0) AS debited
          FROM account a
          LEFT JOIN debited d ON d.owner_id = a.owner_id AND d.unit = a.unit
         WHERE a.spent + a.taken <> coalesce(d.spent, 0)
    )
    SELECT 'account.spent' AS check, 'account' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           format('expected debits of %s, found %s', spent, debited) AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

WHOLE_CHECKS = (ACCOUNT_SPENT,)
