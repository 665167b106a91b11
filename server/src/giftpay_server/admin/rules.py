"""The rules of adjustments and erasures. Pure."""

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

from giftpay_server.ledger.gates import require_available, require_balance_limit
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
    """An erasure in progress: an owner's personal data is hidden up to a generation."""

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
    """Posts a credit, of coins with a lot of their own, or a spend; against ADJUSTMENT."""
    amount, owner = request.amount, books.owners[request.owner_id]
    account = books.accounts[request.owner_id, request.unit]
    if refused := _gate(owner, account, amount):
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


def _gate(owner: Owner, account: Account, amount: int) -> Refused | None:
    if amount < 0:
        return require_available(account, -amount)
    if owner.status == WALLET_STATUS_CLOSED:
        return refuse(ERROR_REASON_WALLET_CLOSED, owner_id=owner.owner_id)
    return require_balance_limit(account, amount)


def erase(request: ErasePersonalDataRequest, books: Books) -> Decision:
    """Hides personal data, to be removed later; of the age, only being an adult is kept."""
    owner = books.owners[request.owner_id]
    adult_from = _generalised(owner.adult_from, books.now.date())
    return Posted(
        owners=(replace(owner, adult_from=adult_from, erasures=owner.erasures + 1),),
        rows=(Erasure(owner.owner_id, owner.erasures, books.now),),
    )


def _generalised(adult_from: date | None, today: date) -> date | None:
    return VERIFIED_ADULT if adult_from is not None and adult_from <= today else None
