"""Times that lie ahead: no server's clock can have said them and been believed."""

# $1: the latest time that a clock within the bound may say now.

TRANSACTION_AHEAD = """
    WITH broken AS MATERIALIZED (
        SELECT id, create_time FROM transactions WHERE create_time > $1
    )
    SELECT 'transaction.ahead' AS check, 'transactions' AS table, id::text AS key,
           format('expected %s or earlier, found %s', $1::timestamptz, create_time) AS detail
      FROM broken
     ORDER BY id
     LIMIT 1
"""

ENTRY_AHEAD = """
    WITH broken AS MATERIALIZED (
        SELECT owner_id, unit, seq, create_time FROM entry WHERE create_time > $1
    )
    SELECT 'entry.ahead' AS check, 'entry' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit], seq) AS key,
           format('expected %s or earlier, found %s', $1::timestamptz, create_time) AS detail
      FROM broken
     ORDER BY owner_id, unit, seq
     LIMIT 1
"""

ACCOUNT_AHEAD = """
    WITH broken AS MATERIALIZED (
        SELECT owner_id, unit, entry_time FROM account WHERE entry_time > $1
    )
    SELECT 'account.ahead' AS check, 'account' AS table,
           concat_ws('/', owner_id, (ARRAY['COIN', 'DIAMOND'])[unit]) AS key,
           format('expected %s or earlier, found %s', $1::timestamptz, entry_time) AS detail
      FROM broken
     ORDER BY owner_id, unit
     LIMIT 1
"""

CHECKS = (TRANSACTION_AHEAD, ENTRY_AHEAD, ACCOUNT_AHEAD)
