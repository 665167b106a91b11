"""Gates: preconditions of a movement, each of which returns a refusal or None.

What a payment provider already did is booked without them.
"""

from __future__ import annotations

from datetime import date

from giftpay.v1 import (
    ERROR_REASON_AGE_UNVERIFIED,
    ERROR_REASON_AMOUNT_LIMIT,
    ERROR_REASON_BALANCE_LIMIT,
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_INSUFFICIENT_DIAMONDS,
    ERROR_REASON_UNDER_AGE,
    ERROR_REASON_WALLET_CLOSED,
    ERROR_REASON_WALLET_FROZEN,
    UNIT_COIN,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
    Unit,
)

from giftpay_server.ledger.model import AMOUNT_LIMIT, BALANCE_LIMIT, Account, Owner, Refused, refuse
from giftpay_server.protobuf import short_name

ADULT_AGE = 18  # years, as in the terms of service of such platforms


def require_active(owner: Owner) -> Refused | None:
    """Refuses a wallet that is frozen or closed."""
    if owner.status == WALLET_STATUS_ACTIVE:
        return None
    frozen = owner.status == WALLET_STATUS_FROZEN
    reason = ERROR_REASON_WALLET_FROZEN if frozen else ERROR_REASON_WALLET_CLOSED
    return refuse(reason, owner_id=owner.owner_id)


def require_adult(owner: Owner, today: date) -> Refused | None:
    """Refuses an owner who is not known to be of age today (UTC)."""
    if owner.adult_from is None:
        return refuse(ERROR_REASON_AGE_UNVERIFIED, owner_id=owner.owner_id)
    if owner.adult_from > today:
        return refuse(ERROR_REASON_UNDER_AGE, owner_id=owner.owner_id, adult_age=ADULT_AGE)
    return None


def require_amount_limit(amount: int) -> Refused | None:
    """Refuses a movement of more than the limit."""
    if amount <= AMOUNT_LIMIT:
        return None
    return refuse(ERROR_REASON_AMOUNT_LIMIT, amount=amount, limit=AMOUNT_LIMIT)


def require_available(account: Account, amount: int) -> Refused | None:
    """Refuses a debit or a hold of more than is available."""
    if account.available >= amount:
        return None
    coins = account.unit == UNIT_COIN
    return refuse(
        ERROR_REASON_INSUFFICIENT_COINS if coins else ERROR_REASON_INSUFFICIENT_DIAMONDS,
        owner_id=account.owner_id,
        available=account.available,
        required=amount,
    )


def require_balance_limit(account: Account, amount: int) -> Refused | None:
    """Refuses a credit that would exceed the limit of a balance."""
    if account.balance + amount <= BALANCE_LIMIT:
        return None
    unit = short_name(Unit, account.unit)
    owner_id = account.owner_id
    return refuse(ERROR_REASON_BALANCE_LIMIT, owner_id=owner_id, unit=unit, limit=BALANCE_LIMIT)
