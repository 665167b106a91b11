"""What operators may correct in the ledger itself, and what they may erase. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from giftpay.v1 import (
    ERROR_REASON_WALLET_CLOSED,
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    WALLET_STATUS_CLOSED,
    AdjustBalanceRequest,
    Entry,
    ErasePersonalDataRequest,
)

from giftpay_server.ledger.gates import can_spend, room_for
from giftpay_server.ledger.model import (
    Account,
    Books,
    Decision,
    Grant,
    Leg,
    LotKind,
    Owner,
    Posted,
    Refused,
    refuse,
)
from giftpay_server.protobuf import timestamp
from giftpay_server.wallet.rules import VERIFIED_ADULT


class Erasure(NamedTuple):
    """An owner's personal data is hidden, up to a generation, and to be removed."""

    owner_id: str
    generation: int
    create_time: datetime

    @property
    def key(self) -> str:
        return self.owner_id

    @property
    def due_time(self) -> datetime:
        return self.create_time


def adjust(request: AdjustBalanceRequest, books: Books, *, transaction_id: str) -> Decision:
    """A credit, of coins with a lot of their own, or a spend; against ADJUSTMENT."""
    amount, owner = request.amount, books.owners[request.owner_id]
    account = books.accounts[request.owner_id, request.unit]
    if refused := _may_gain(owner, account, amount) if amount > 0 else can_spend(account, -amount):
        return refused
    minted = amount > 0 and account.unit == UNIT_COIN  # diamonds are not traced
    grant = Grant(LotKind.ADJUSTMENT, transaction_id) if minted else None
    entry = Entry(
        owner_id=owner.owner_id,
        unit=account.unit,
        seq=account.seq + 1,
        transaction_id=transaction_id,
        amount=amount,
        balance=account.balance + amount,
        system_account=SYSTEM_ACCOUNT_ADJUSTMENT,
        create_time=timestamp(account.next_time(books.now)),
        kind=TRANSACTION_KIND_ADJUSTMENT,
    )
    return Posted(
        legs=(Leg(owner.owner_id, account.unit, amount, SYSTEM_ACCOUNT_ADJUSTMENT, grant),),
        answer=entry.SerializeToString(),
    )


def _may_gain(owner: Owner, account: Account, amount: int) -> Refused | None:
    if owner.status == WALLET_STATUS_CLOSED:
        return refuse(ERROR_REASON_WALLET_CLOSED, owner_id=owner.owner_id)
    return room_for(account, amount)


def erase(request: ErasePersonalDataRequest, books: Books) -> Decision:
    """Personal data is hidden, to be removed; of the age, only that it suffices remains."""
    owner = books.owners[request.owner_id]
    adult_from = _generalised(owner.adult_from, books.now.date())
    return Posted(
        owners=(replace(owner, adult_from=adult_from, erasures=owner.erasures + 1),),
        rows=(Erasure(owner.owner_id, owner.erasures, books.now),),
    )


def _generalised(adult_from: date | None, today: date) -> date | None:
    return VERIFIED_ADULT if adult_from is not None and adult_from <= today else None
