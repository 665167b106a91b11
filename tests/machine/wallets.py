"""The model's decisions on wallets."""

from __future__ import annotations

from typing import Any

from giftpay import v1

from tests.machine.accounts import VERIFIED, Owner
from tests.machine.state import Refused, State, missing, refused, short, stopped


def open_wallet(state: State, request: v1.OpenWalletRequest) -> Any:
    asked = request.date_of_birth or (VERIFIED if request.age_verified else None)
    owner = state.owners.get(request.owner_id)
    if owner is None:
        owner = Owner(request.owner_id, request.country_code, asked)
        state.owners[owner.owner_id] = owner
        return v1.OpenWalletResponse(wallet=owner.message())
    if owner.status == v1.WALLET_STATUS_CLOSED:
        return stopped(owner)
    fields = [] if owner.country == request.country_code else ["country_code"]
    if not _ages_agree(owner, Owner("", "", asked)):
        fields.append("date_of_birth" if request.date_of_birth else "age_verified")
    if fields:
        return refused("WALLET_EXISTS", owner_id=owner.owner_id, fields=",".join(fields))
    return v1.OpenWalletResponse(wallet=owner.message())


def _ages_agree(known: Owner, asked: Owner) -> bool:
    if asked.age is None or asked.age == known.age:
        return True
    return known.is_adult and asked.is_adult and VERIFIED in (known.age, asked.age)


def update_wallet(state: State, request: v1.UpdateWalletRequest) -> Any:
    if no := missing(state, request.owner_id):
        return no
    owner = state.owners[request.owner_id]
    if request.status == owner.status:
        return v1.UpdateWalletResponse(wallet=owner.message())
    if owner.status == v1.WALLET_STATUS_CLOSED:
        return stopped(owner)
    if request.status == v1.WALLET_STATUS_CLOSED and (no := _not_empty(state, owner)):
        return no
    if request.status:
        owner.status = request.status
    else:
        owner.age = request.date_of_birth or (VERIFIED if request.age_verified else None)
    return v1.UpdateWalletResponse(wallet=owner.message())


def _not_empty(state: State, owner: Owner) -> Refused | None:
    pending = [
        top_up
        for top_up in state.top_ups.values()
        if top_up.owner_id == owner.owner_id and top_up.state == v1.TOP_UP_STATE_PENDING
    ]
    figures = {
        "coins": owner.coins.balance,
        "diamonds": owner.diamonds.balance,
        "held": owner.diamonds.held,
        "open_top_ups": len(pending),
    }
    if not any(figures.values()):
        return None
    return refused("WALLET_NOT_EMPTY", owner_id=owner.owner_id, **figures)


def adjust_balance(state: State, request: v1.AdjustBalanceRequest) -> Any:
    if no := missing(state, request.owner_id):
        return no
    owner = state.owners[request.owner_id]
    account, amount = owner.account(request.unit), request.amount
    if amount > 0 and owner.status == v1.WALLET_STATUS_CLOSED:
        return stopped(owner)
    if amount < 0 and account.available < -amount:
        unit = "COINS" if request.unit == v1.UNIT_COIN else "DIAMONDS"
        return short(unit, owner.owner_id, available=account.available, required=-amount)
    account.post(amount, request.idempotency_key, v1.SYSTEM_ACCOUNT_ADJUSTMENT)
    entry = v1.Entry(
        owner_id=owner.owner_id,
        unit=request.unit,
        seq=len(account.lines),
        transaction_id=request.idempotency_key,
        amount=amount,
        balance=account.balance,
        system_account=v1.SYSTEM_ACCOUNT_ADJUSTMENT,
        kind=v1.TRANSACTION_KIND_ADJUSTMENT,
    )
    return v1.AdjustBalanceResponse(entry=entry)


def erase(state: State, request: v1.ErasePersonalDataRequest) -> Any:
    if no := missing(state, request.owner_id):
        return no
    owner = state.owners[request.owner_id]
    owner.age = VERIFIED if owner.is_adult else None
    keys = state.personal.pop(owner.owner_id, set())
    state.erased |= keys
    for key in keys & state.gifts.keys():
        state.gifts[key].message = ""
    for key in keys & state.redemptions.keys():
        state.redemptions[key].destination = ""
    return v1.ErasePersonalDataResponse()
