"""Converts requests to commands, and a wallet that was read to its message."""

from __future__ import annotations

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
)

from giftpay_server.ledger.model import Account, Command, OpenItems, wallet
from giftpay_server.protobuf import timestamp
from giftpay_server.wallet import rules
from giftpay_server.wallet.store import WalletState
from giftpay_server.wire.commands import Asked
from giftpay_server.wire.fields import valid_birth


def open_command(asked: Asked[OpenWalletRequest], *, today: date) -> Command:
    """The command to open a wallet; raises InvalidArgumentError for a malformed date of birth."""
    request = asked.request
    if not request.age_verified:
        request.ClearField("age_verified")  # false means the same as unset
    decide = partial(rules.open_wallet, request, _adult_from(asked, today))
    accounts = wallet(request.owner_id)
    return asked.command(TRANSACTION_KIND_OPEN_WALLET, accounts, decide, opens=True)


def update_command(
    asked: Asked[UpdateWalletRequest], open_items: Mapping[str, type[OpenItems]], *, today: date
) -> Command:
    """The command to change a wallet; raises InvalidArgumentError as `open_command`."""
    request, accounts = asked.request, wallet(asked.request.owner_id)
    command = partial(asked.command, TRANSACTION_KIND_UPDATE_WALLET, accounts)
    if not request.HasField("status"):
        return command(partial(rules.set_age, request, _adult_from(asked, today)))
    closes = request.status == WALLET_STATUS_CLOSED
    reads = [(kind, request.owner_id) for kind in open_items.values()] if closes else ()
    return command(partial(rules.set_status, request, open_items), reads=reads, alone=closes)


def _adult_from(
    asked: Asked[OpenWalletRequest] | Asked[UpdateWalletRequest], today: date
) -> date | None:
    if asked.request.HasField("date_of_birth"):
        birth = asked.personal.value if asked.personal is not None else ""
        return rules.adult_from(valid_birth(birth, "date_of_birth", today=today))
    return rules.VERIFIED_ADULT if asked.request.age_verified else None


def wallet_message(state: WalletState, *, today: date) -> Wallet:
    """The message of a wallet; the age status is that of today (UTC)."""
    owner = state.owner
    return Wallet(
        owner_id=owner.owner_id,
        country_code=owner.country,
        status=owner.status,
        age_status=rules.age_status(owner.adult_from, today),
        coins=_balance(state.coins),
        diamonds=_balance(state.diamonds),
        create_time=timestamp(owner.create_time),
    )


def _balance(account: Account) -> Balance:
    return Balance(
        balance=account.balance,
        held=account.held,
        available=account.available,
        last_seq=account.seq,
    )
