"""Checks that no timestamp is later than a clock within the bound can have been."""

from giftpay_server.journal.check import of_account, of_entry, of_transaction

# $1: the latest time of a clock within the bound.
DETAIL = "format('expected %s or earlier, found %s', $1::timestamptz, found)"

TRANSACTION_AHEAD = of_transaction(
    name="transaction.ahead",
    broken="SELECT id, create_time AS found FROM transactions WHERE create_time > $1",
    detail=DETAIL,
)

ENTRY_AHEAD = of_entry(
    name="entry.ahead",
    broken="SELECT owner_id, unit, seq, create_time AS found FROM entry WHERE create_time > $1",
    detail=DETAIL,
)

ACCOUNT_AHEAD = of_account(
    name="account.ahead",
    broken="SELECT owner_id, unit, entry_time AS found FROM account WHERE entry_time > $1",
    detail=DETAIL,
)

CHECKS = (TRANSACTION_AHEAD, ENTRY_AHEAD, ACCOUNT_AHEAD)
