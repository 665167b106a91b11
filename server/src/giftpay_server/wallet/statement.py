"""From what was booked and decided to the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from giftpay.v1 import (
    Entry,
    EntryRef,
    Posted,
    SystemAccount,
    TransactionKind,
    Unit,
)
from giftpay.v1 import Transaction as TransactionMessage

from giftpay_server.ledger.model import AccountKey, Outcome, Transaction
from giftpay_server.postgres.pool import Pool
from giftpay_server.protobuf import timestamp
from giftpay_server.registration import Details, TransactionRequest
from giftpay_server.wallet.store import Line, list_after, list_before, read_asked
from giftpay_server.wire.pages import NUMBER_MAX, Page
from giftpay_server.wire.refusals import refusal_of


async def read_page(
    pool: Pool, account: AccountKey, page: Page, *, after_seq: int | None
) -> Sequence[Line]:
    """A page of a statement and one line more: after a seq, or newest first if there is none."""
    read, first = (list_before, NUMBER_MAX) if after_seq is None else (list_after, after_seq)
    seq = page.number(first=first)
    async with pool.acquire() as connection:
        return await read(connection, account, seq=seq, limit=page.limit)


async def entry_messages(
    pool: Pool, lines: Sequence[Line], details: Mapping[int, Details]
) -> list[Entry]:
    """Lines of a statement, each with what its kind's slice says of it."""
    undone = [_undone(line.asked, details) for line in lines]
    asked = await read_asked(pool, {each for each in undone if each})
    return [
        _entry_message(
            line, reversed_id, asked[reversed_id] if reversed_id else line.asked, details
        )
        for line, reversed_id in zip(lines, undone, strict=True)
    ]


def _undone(asked: TransactionRequest, details: Mapping[int, Details]) -> str:
    """The transaction that a reversal undid; empty for any other."""
    return details[asked.kind].reversed_id(asked.request) if asked.kind in details else ""


def _entry_message(
    line: Line, reversed_id: str, subject: TransactionRequest, details: Mapping[int, Details]
) -> Entry:
    entry, kind = line.entry, line.asked.kind
    message = Entry(
        owner_id=entry.owner_id,
        unit=Unit.ValueType(entry.unit),
        seq=entry.seq,
        transaction_id=entry.transaction_id,
        amount=entry.amount,
        balance=entry.balance,
        system_account=SystemAccount.ValueType(entry.system),
        kind=TransactionKind.ValueType(kind),
        counterpart_id=_counterpart(entry.owner_id, line.asked.entries),
        reversed_transaction_id=reversed_id,
        create_time=timestamp(line.create_time),
    )
    if kind in details:
        details[kind].add(message, subject)
    return message


def _counterpart(owner_id: str, entries: str) -> str:
    """The other owner of a transaction, by the list of its entries."""
    owners = (ref.partition("/")[0] for ref in entries.split())
    return next((other for other in owners if other != owner_id), "")


def transaction_message(transaction: Transaction) -> TransactionMessage:
    """What was decided, refusals with their sentence."""
    message = TransactionMessage(
        transaction_id=transaction.id,
        kind=transaction.kind,
        caller=transaction.caller,
        catalog_version=transaction.catalog_version,
        create_time=timestamp(transaction.create_time),
    )
    if transaction.reason:
        message.refusal.CopyFrom(refusal_of(Outcome(transaction)))
    else:
        message.posted.CopyFrom(Posted(entries=map(_ref, transaction.entries.split())))
    return message


def _ref(text: str) -> EntryRef:
    owner_id, unit, seq = text.split("/")
    return EntryRef(owner_id=owner_id, unit=Unit.ValueType(int(unit)), seq=int(seq))
