"""Checks entries against their transactions, and each entry against the previous one."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND

from giftpay_server.journal.check import Check, of_entry, of_transaction
from giftpay_server.journal.sql import POSTED, refs
from giftpay_server.ledger.movements import Movements

# A regular expression of Postgres: entries separated by a space.
LIST = f"^([^ /~]+/[{UNIT_COIN}{UNIT_DIAMOND}]/[1-9][0-9]{{0,17}}( (?!$)|$))*$"

# A refused transaction lists nothing, and no list names an entry twice. The checks below rely on
# well-formed lists.
TRANSACTION_LIST = of_transaction(
    name="transaction.list",
    broken=f"""
        SELECT t.id, t.entries, t.reason
          FROM transactions t
         CROSS JOIN LATERAL (
               SELECT count(*) AS listed, count(DISTINCT ref) AS entries
                 FROM unnest(string_to_array(t.entries, ' ')) AS ref
               ) AS list
         WHERE t.create_time >= $1
           AND (t.reason <> {POSTED} AND t.entries <> '' OR list.listed <> list.entries
                OR t.entries !~ '{LIST}')
    """,
    detail=f"""
        CASE WHEN reason <> {POSTED}
             THEN format('expected no entries of a refusal, found %L', entries)
             ELSE format('expected distinct entries, found %L', entries)
        END
    """,
)

# An entry's time is that of its transaction, or the account's last one if that is later.
BOOKED = """
    WITH booked AS (
        SELECT e.owner_id, e.unit, e.seq, e.create_time, e.transaction_id, t.entries, t.kind,
               t.create_time AS decide_time,
               concat_ws('/', e.owner_id, e.unit, e.seq)
                   = ANY (string_to_array(t.entries, ' ')) AS listed,
               (t.kind, e.unit, e.system_account, e.amount > 0) IN ({movements}) AS usual
          FROM entry e
          LEFT JOIN transactions t ON t.id = e.transaction_id
         WHERE e.create_time >= $1
    )
    SELECT *
      FROM booked
     WHERE listed IS NOT TRUE OR create_time < decide_time OR usual IS NOT TRUE
"""


def entry_transaction(movements: Movements) -> Check:
    """Checks that a transaction lists each entry, and that its kind may make the movement."""
    usual = [
        f"({kind}, {unit}, {system}, {is_credit})"
        for kind, moved in movements.items()
        for unit, system, is_credit in sorted(moved)
    ]
    return of_entry(
        name={
            "entry.transaction": "listed IS NOT TRUE OR create_time < decide_time",
            "entry.system_account": "usual IS NOT TRUE",
        },
        broken=BOOKED.format(movements=", ".join(usual)),
        detail="""
            CASE WHEN listed IS NULL
                 THEN format('expected the transaction %s, found none', transaction_id)
                 WHEN NOT listed
                 THEN format('expected to be listed by %s, found %L', transaction_id, entries)
                 WHEN create_time < decide_time
                 THEN format('expected %s or later, found %s', decide_time, create_time)
                 ELSE format('expected what a transaction of kind %s moves, found another', kind)
            END
        """,
    )


# Numbers start with 1 and have no gap. The broken row is the missing one, not the one after it.
ENTRY_FOLLOWS = of_entry(
    name={
        "entry.seq": "gap",
        "entry.balance": "balance <> expected",
        "entry.create_time": "create_time < earlier_time",
    },
    broken="""
        WITH following AS (
            SELECT e.owner_id, e.unit, e.seq, e.balance, e.create_time,
                   p.seq IS NULL AND e.seq > 1 AS gap,
                   coalesce(p.balance, 0) + e.amount AS expected,
                   p.create_time AS earlier_time
              FROM entry e
              LEFT JOIN entry p
                ON p.owner_id = e.owner_id AND p.unit = e.unit AND p.seq = e.seq - 1
             WHERE e.create_time >= $1
        )
        SELECT owner_id, unit, seq - gap::integer AS seq, balance, create_time, gap, expected,
               earlier_time
          FROM following
         WHERE gap OR balance <> expected OR create_time < earlier_time
    """,
    detail="""
        CASE WHEN gap THEN format('expected an entry before %s, found none', seq + 1)
             WHEN balance <> expected
             THEN format('expected a balance of %s, found %s', expected, balance)
             ELSE format('expected %s or later, found %s', earlier_time, create_time)
        END
    """,
)

TRANSACTION_ENTRIES = of_transaction(
    name="transaction.entries",
    broken=f"""
        SELECT t.id, concat_ws('/', ref.owner_id, ref.unit, ref.seq) AS ref,
               e.transaction_id AS found
          FROM transactions t
         CROSS JOIN LATERAL {refs("t.entries")} AS ref
          LEFT JOIN entry e USING (owner_id, unit, seq)
         WHERE t.create_time >= $1 AND e.transaction_id IS DISTINCT FROM t.id
    """,
    detail="format('expected its entry %s, found %s', ref, coalesce('one of ' || found, 'none'))",
)

# With `since`, other checks read only accounts with a later entry_time; this one justifies that.
ENTRY_ACCOUNT = of_entry(
    name="entry.account",
    broken="""
        SELECT e.owner_id, e.unit, e.seq, e.create_time, a.seq AS last, a.entry_time
          FROM entry e
          LEFT JOIN account a ON a.owner_id = e.owner_id AND a.unit = e.unit
         WHERE e.create_time >= $1
           AND (a.seq IS NULL OR e.seq > a.seq OR e.create_time > a.entry_time)
    """,
    detail="""
        CASE WHEN last IS NULL THEN 'expected its account, found none'
             ELSE format('expected at most entry %s of %s, found one of %s',
                         last, entry_time, create_time)
        END
    """,
)


def entry_checks(movements: Movements) -> Sequence[Check]:
    """The checks in order: those that parse a list come after the one that validates it."""
    return (
        TRANSACTION_LIST,
        entry_transaction(movements),
        ENTRY_FOLLOWS,
        TRANSACTION_ENTRIES,
        ENTRY_ACCOUNT,
    )
