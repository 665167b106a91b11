"""From the wire to a command, and back from a wallet as it was read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from functools import partial

from giftpay.v1 import (
    TRANSACTION_KIND_OPEN_WALLET,
    TRANSACTION_KIND_UPDATE_WALLET,
    WALLET_STATUS_CLOSED,
    Balance,
    OpenWalletRequest,
    UpdateWalletRequest,
    Wallet,
    WalletStatus,
)

from giftpay_server.ledger.model import Account, Command, OpenItems, Personal, wallet
from giftpay_server.protobuf import timestamp
from giftpay_server.wallet import rules
from giftpay_server.wallet.store import Standing
from giftpay_server.wire.fields import (
    InvalidArgumentError,
    valid_birth,
    valid_choice,
    valid_country,
    valid_id,
)
from giftpay_server.wire.keys import transaction_id


def open_command(request: OpenWalletRequest, *, caller: str, today: date) -> Command:
    """The command that a request asks for; the request becomes what is stored.

    Raises InvalidArgumentError naming the first malformed field.
    """
    key = transaction_id(request.idempotency_key, caller=caller)
    valid_id(request.owner_id, "owner_id")
    valid_country(request.country_code, "country_code")
    request.ClearField("idempotency_key")
    if not request.age_verified:
        request.ClearField("age_verified")  # "not verified" says no more than nothing does
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_OPEN_WALLET,
        request=request,
        accounts=wallet(request.owner_id),
        decide=partial(rules.open_wallet, request, _adult_from(request, today)),
        personal=_take_birth(request),
        opens=True,
    )


def update_command(
    request: UpdateWalletRequest,
    open_items: Mapping[str, type[OpenItems]],
    *,
    caller: str,
    today: date,
) -> Command:
    """The command that a request asks for; the request becomes what is stored.

    Raises InvalidArgumentError naming the first malformed field.
    """
    command = partial(
        Command,
        id=transaction_id(request.idempotency_key, caller=caller),
        caller=caller,
        kind=TRANSACTION_KIND_UPDATE_WALLET,
        request=request,
        accounts=wallet(valid_id(request.owner_id, "owner_id")),
    )
    request.ClearField("idempotency_key")
    match request.WhichOneof("change"):
        case None:
            raise InvalidArgumentError("change", "one of status, age_verified, date_of_birth")
        case "status":
            valid_choice(request.status, "status", WalletStatus)
            closes = request.status == WALLET_STATUS_CLOSED
            reads = [(kind, request.owner_id) for kind in open_items.values()] if closes else ()
            decide = partial(rules.set_status, request, open_items)
            return command(decide=decide, reads=reads, alone=closes)
        case _:
            decide = partial(rules.set_age, request, _adult_from(request, today))
            return command(decide=decide, personal=_take_birth(request))


def _adult_from(request: OpenWalletRequest | UpdateWalletRequest, today: date) -> date | None:
    if request.HasField("date_of_birth"):
        return rules.adult_from(valid_birth(request.date_of_birth, "date_of_birth", today=today))
    return rules.VERIFIED_ADULT if request.age_verified else None


def _take_birth(request: OpenWalletRequest | UpdateWalletRequest) -> Personal | None:
    if not request.date_of_birth:
        return None
    birth, request.date_of_birth = request.date_of_birth, ""
    return Personal(request.owner_id, "date_of_birth", birth, os.urandom(16), shown=False)


def wallet_message(standing: Standing, *, today: date) -> Wallet:
    """A wallet as it was read; the owner is of age or not as of today (UTC)."""
    owner = standing.owner
    return Wallet(
        owner_id=owner.owner_id,
        country_code=owner.country,
        status=owner.status,
        age_status=rules.age_status(owner.adult_from, today),
        coins=_balance(standing.coins),
        diamonds=_balance(standing.diamonds),
        create_time=timestamp(owner.create_time),
    )


def _balance(account: Account) -> Balance:
    return Balance(
        balance=account.balance,
        held=account.held,
        available=account.available,
        last_seq=account.seq,
    )
