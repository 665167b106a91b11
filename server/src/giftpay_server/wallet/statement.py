"""Reads statements, and converts entries and transactions to messages."""

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
from giftpay_server.wallet.store import Line, list_after, list_before, list_new, read_asked
from giftpay_server.wire.refusals import refusal_of

Entries: TypeAlias = "RepeatedCompositeFieldContainer[Entry]"


class StatementLine(NamedTuple):
    """A line of a statement, with the request that its details are taken from."""

    stored: Line
    reversed_id: str  # of a reversal: the transaction that it reversed
    subject: TransactionRequest  # that of the reversed transaction, or the line's own


class Statements:
    """Reads the statements of accounts; slices add details to the lines of their kinds."""

    def __init__(self, pool: Pool, details: Mapping[int, Details]) -> None:
        self._pool = pool
        self._details = details

    async def before(self, account: AccountKey, seq: int, limit: int) -> list[StatementLine]:
        """The lines below a seq, newest first."""
        async with self._pool.acquire() as connection:
            lines = await list_before(connection, account, seq=seq, limit=limit)
            return await self._with_subjects(connection, lines)

    async def after(self, account: AccountKey, seq: int, limit: int) -> list[StatementLine]:
        """The lines above a seq, oldest first."""
        async with self._pool.acquire() as connection:
            lines = await list_after(connection, account, seq=seq, limit=limit)
            return await self._with_subjects(connection, lines)

    async def new(
        self, account: AccountKey, seq: int, limit: int
    ) -> tuple[list[StatementLine], int]:
        """The lines above a seq, oldest first, and the account's last seq."""
        async with self._pool.acquire() as connection:
            lines, last_seq = await list_new(connection, account, seq=seq, limit=limit)
            return await self._with_subjects(connection, lines), last_seq

    def write(self, lines: Iterable[StatementLine], entries: Entries) -> None:
        """Adds the lines to the entries of a response, in place, so that nothing is copied."""
        for line in lines:
            self._write(line, entries.add())

    async def _with_subjects(
        self, connection: Connection, lines: Sequence[Line]
    ) -> list[StatementLine]:
        reversed_ids = [self._reversed_id(line.asked) for line in lines]
        asked = await read_asked(connection, {each for each in reversed_ids if each})
        return [
            StatementLine(line, reversed_id, asked[reversed_id] if reversed_id else line.asked)
            for line, reversed_id in zip(lines, reversed_ids, strict=True)
        ]

    def _reversed_id(self, asked: TransactionRequest) -> str:
        """The transaction that a reversal reversed; empty for any other kind."""
        details = self._details.get(asked.kind)
        return details.reversed_id(asked.request) if details is not None else ""

    def _write(self, line: StatementLine, message: Entry) -> None:
        entry, stored = line.stored.entry, line.stored
        message.owner_id = entry.owner_id
        message.unit = Unit.ValueType(entry.unit)
        message.seq = entry.seq
        message.transaction_id = entry.transaction_id
        message.amount = entry.amount
        message.balance = entry.balance
        message.system_account = SystemAccount.ValueType(entry.system)
        message.kind = TransactionKind.ValueType(stored.asked.kind)
        message.counterpart_id = _counterpart(entry.owner_id, stored.asked.entries)
        message.reversed_transaction_id = line.reversed_id
        message.create_time.CopyFrom(timestamp(stored.create_time))
        if (details := self._details.get(stored.asked.kind)) is not None:
            details.add(message, line.subject)


def _counterpart(owner_id: str, entries: str) -> str:
    """The other owner in the entries of a transaction."""
    for ref in entries.split():
        other = ref.partition("/")[0]
        if other != owner_id:
            return other
    return ""


def transaction_message(transaction: Transaction) -> TransactionMessage:
    """The message of a transaction; a refusal includes its sentence."""
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
