"""Personal data, against the erasures of its owners."""

ERASURE_OWNER = """
    WITH broken AS MATERIALIZED (
        SELECT e.owner_id, e.generation, coalesce(o.erasures, 0) AS erasures
          FROM erasure e
          LEFT JOIN owner o ON o.owner_id = e.owner_id
         WHERE e.create_time >= $1 AND e.generation <> coalesce(o.erasures, 0) - 1
    )
    SELECT 'erasure.owner' AS check, 'erasure' AS table, owner_id AS key,
           format('expected the last of %s erasures, found generation %s', erasures, generation)
               AS detail
      FROM broken
     ORDER BY owner_id
     LIMIT 1
"""

CHECKS = (ERASURE_OWNER,)

# What is shown was written after the owner's last erasure, and not after one that is still to come.
# What holds no words is only compared. A refused command of somebody without a wallet proves no
# account, and may be written after a wallet was opened and erased.
PERSONAL_GENERATION = """
    WITH broken AS MATERIALIZED (
        SELECT p.transaction_id, p.generation, coalesce(o.erasures, 0) AS erasures
          FROM shown_personal_data p
          LEFT JOIN owner o ON o.owner_id = p.owner_id
         WHERE p.generation > coalesce(o.erasures, 0)
            OR p.generation < o.erasures AND p.value IS NOT NULL
    )
    SELECT 'personal_data.generation' AS check, 'personal_data' AS table,
           transaction_id::text AS key,
           format('expected to show generation %s alone, found %s', erasures, generation) AS detail
      FROM broken
     ORDER BY transaction_id
     LIMIT 1
"""

# Nothing tells the age of these rows.
WHOLE_CHECKS = (PERSONAL_GENERATION,)
