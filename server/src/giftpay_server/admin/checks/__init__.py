"""What must hold in the books.

A check is one statement that finds the first row, by key, which breaks it: `check`, `table`, `key`
and `detail`, or no row. The table is built before it is sorted (MATERIALIZED): a plan that hoped to
find a broken row early would walk all of a sound table in the order of its keys.
"""

from __future__ import annotations

from giftpay_server.admin.checks import (
    accounts,
    ahead,
    entries,
    lots,
    orders,
    persons,
    redemptions,
    rows,
)

# $1: look at what was written at or after this time, and at the accounts touched since, with what
# hangs on them. Every batch that moves an account sets its entry_time.
CHECKS = (
    *entries.CHECKS,
    *accounts.CHECKS,
    *lots.CHECKS,
    *rows.CHECKS,
    *orders.CHECKS,
    *redemptions.CHECKS,
    *persons.CHECKS,
)

# Without a parameter: these look at everything, where nothing tells the age of a row.
WHOLE_CHECKS = (*accounts.WHOLE_CHECKS, *rows.WHOLE_CHECKS, *persons.WHOLE_CHECKS)

# $1: the latest time that a clock may say. Made last: one clock that was wrong once would hide the
# rest. Cheap enough to be made always.
AHEAD_CHECKS = ahead.CHECKS
