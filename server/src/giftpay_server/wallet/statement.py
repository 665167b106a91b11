"""From what was booked and decided to the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from giftpay.v1 import (
    TRANSACTION_KIND_GIFT,
    TRANSACTION_KIND_GIFT_REVERSAL,
    Entry,
    EntryRef,
    Posted,
    ReverseGiftRequest,
    SendGiftRequest,
    SystemAccount,
    TransactionKind,
    Unit,
)
from giftpay.v1 import Transaction as TransactionMessage

from giftpay_server.ledger.model import AccountKey, Outcome, Transaction
from giftpay_server.postgres.pool import Pool
from giftpay_server.protobuf import timestamp
from giftpay_server.wallet.store import Asked, Line, list_after, list_before, read_asked
from giftpay_server.wire.pages import NUMBER_MAX, Page
from giftpay_server.wire.refusals import refusal_of


async def read_page(
    pool: Pool, account: AccountKey, page: Page, *, after_seq: int | None
) -> Sequence[Line]:
    """A page of a statement and one line more: after a seq, or newest first if there is none."""
    read, first = (list_before, NUMBER_MAX) if after_seq is None else (list_after, after_seq)
    seq = page.number(first=first)
    async with pool.acquire() as connection:
        return await read(connection, account, seq=seq, limit=page.size + 1)


async def entry_messages(pool: Pool, lines: Sequence[Line]) -> list[Entry]:
    """Lines of a statement, each with the gift that it is about, if it is about one."""
    reversed_ids = {
        line.entry.transaction_id: ReverseGiftRequest.FromString(line.asked.request).transaction_id
        for line in lines
        if line.asked.kind == TRANSACTION_KIND_GIFT_REVERSAL
    }
    gifts = await read_asked(pool, reversed_ids.values())
    return [_entry_message(line, _gift(line, reversed_ids, gifts)) for line in lines]


def _gift(line: Line, reversed_ids: Mapping[str, str], gifts: Mapping[str, Asked]) -> Asked | None:
    if line.asked.kind == TRANSACTION_KIND_GIFT:
        return line.asked
    reversed_id = reversed_ids.get(line.entry.transaction_id)
    return gifts[reversed_id] if reversed_id else None


def _entry_message(line: Line, gift: Asked | None) -> Entry:
    entry = line.entry
    message = Entry(
        owner_id=entry.owner_id,
        unit=Unit.ValueType(entry.unit),
        seq=entry.seq,
        transaction_id=entry.transaction_id,
        amount=entry.amount,
        balance=entry.balance,
        system_account=SystemAccount.ValueType(entry.system),
        kind=TransactionKind.ValueType(line.asked.kind),
        create_time=timestamp(line.create_time),
    )
    if gift is not None:
        _add_gift(message, gift)
    return message


def _add_gift(message: Entry, asked: Asked) -> None:
    gift = SendGiftRequest.FromString(asked.request)
    sent = message.owner_id == gift.sender_id
    message.counterpart_id = gift.recipient_id if sent else gift.sender_id
    message.gift.gift_id = gift.gift_id
    message.gift.count = gift.count
    message.gift.message = asked.words
    message.gift.context = gift.context
    message.gift.combo_id = gift.combo_id


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
