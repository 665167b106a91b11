"""From what was booked and decided to the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from giftpay.v1 import (
    Entry,
    EntryRef,
    Posted,
    SystemAccount,
    TransactionKind,
    Unit,
)
from giftpay.v1 import Transaction as TransactionMessage
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from giftpay_server.ledger.model import AccountKey, Outcome, Transaction
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.protobuf import timestamp
from giftpay_server.registration import Details, TransactionRequest
from giftpay_server.wallet.store import Line, list_after, list_before, list_news, read_asked
from giftpay_server.wire.refusals import refusal_of

Entries: TypeAlias = "RepeatedCompositeFieldContainer[Entry]"


class Told(NamedTuple):
    """A line of a statement, and the transaction that its kind's slice tells of."""

    line: Line
    reversed_id: str  # of a reversal: what it undid
    subject: TransactionRequest  # that one, or the line's own


class Statements:
    """Reads the statements of accounts, each line with what its kind's slice says of it."""

    def __init__(self, pool: Pool, details: Mapping[int, Details]) -> None:
        self._pool = pool
        self._details = details

    async def before(self, account: AccountKey, seq: int, limit: int) -> list[Told]:
        """The lines below a seq, newest first."""
        async with self._pool.acquire() as connection:
            lines = await list_before(connection, account, seq=seq, limit=limit)
            return await self._with_subjects(connection, lines)

    async def after(self, account: AccountKey, seq: int, limit: int) -> list[Told]:
        """The lines above a seq, oldest first."""
        async with self._pool.acquire() as connection:
            lines = await list_after(connection, account, seq=seq, limit=limit)
            return await self._with_subjects(connection, lines)

    async def news(self, account: AccountKey, seq: int, limit: int) -> tuple[list[Told], int]:
        """The lines above a seq, oldest first, and the seq that the account has reached."""
        async with self._pool.acquire() as connection:
            lines, last_seq = await list_news(connection, account, seq=seq, limit=limit)
            return await self._with_subjects(connection, lines), last_seq

    def write(self, lines: Iterable[Told], entries: Entries) -> None:
        """Adds the lines to an answer's entries: in their place, where nothing is copied."""
        for told in lines:
            self._write(told, entries.add())

    async def _with_subjects(self, connection: Connection, lines: Sequence[Line]) -> list[Told]:
        undone = [self._undone(line.asked) for line in lines]
        asked = await read_asked(connection, {each for each in undone if each})
        return [
            Told(line, reversed_id, asked[reversed_id] if reversed_id else line.asked)
            for line, reversed_id in zip(lines, undone, strict=True)
        ]

    def _undone(self, asked: TransactionRequest) -> str:
        """The transaction that a reversal undid; empty for any other."""
        details = self._details.get(asked.kind)
        return details.reversed_id(asked.request) if details is not None else ""

    def _write(self, told: Told, message: Entry) -> None:
        entry, line = told.line.entry, told.line
        message.owner_id = entry.owner_id
        message.unit = Unit.ValueType(entry.unit)
        message.seq = entry.seq
        message.transaction_id = entry.transaction_id
        message.amount = entry.amount
        message.balance = entry.balance
        message.system_account = SystemAccount.ValueType(entry.system)
        message.kind = TransactionKind.ValueType(line.asked.kind)
        message.counterpart_id = _counterpart(entry.owner_id, line.asked.entries)
        message.reversed_transaction_id = told.reversed_id
        message.create_time.CopyFrom(timestamp(line.create_time))
        if (details := self._details.get(line.asked.kind)) is not None:
            details.add(message, told.subject)


def _counterpart(owner_id: str, entries: str) -> str:
    """The other owner of a transaction, by the list of its entries."""
    for ref in entries.split():
        other = ref.partition("/")[0]
        if other != owner_id:
            return other
    return ""


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
