"""The rules for opening, changing and closing a wallet, and for the owner's age. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    ERROR_REASON_WALLET_CLOSED,
    ERROR_REASON_WALLET_EXISTS,
    ERROR_REASON_WALLET_NOT_EMPTY,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    AgeStatus,
    OpenWalletRequest,
    UpdateWalletRequest,
)

from giftpay_server.ledger.gates import ADULT_AGE
from giftpay_server.ledger.model import (
    Books,
    Decision,
    OpenItems,
    Owner,
    Posted,
    Refused,
    refuse,
    wallet,
)

# For an owner whose age a caller verified without a date of birth; no date of birth gives it.
VERIFIED_ADULT = date(1900, 1, 1)


def adult_from(birth: date) -> date:
    """The day on which an owner comes of age; for a birth on 29 February, 1 March."""
    year = birth.year + ADULT_AGE
    return date(year, 3, 1) if (birth.month, birth.day) == (2, 29) else birth.replace(year=year)


def age_status(adult: date | None, today: date) -> AgeStatus.ValueType:
    """The age status today (UTC)."""
    if adult is None:
        return AGE_STATUS_UNVERIFIED
    return AGE_STATUS_ADULT if adult <= today else AGE_STATUS_UNDER_AGE


def open_wallet(request: OpenWalletRequest, adult: date | None, books: Books) -> Decision:
    """Creates the owner; changes nothing if it exists and the details agree."""
    owner = books.owners.get(request.owner_id)
    if owner is None:
        country = request.country_code
        new = Owner(request.owner_id, WALLET_STATUS_ACTIVE, country, adult, books.now)
        return Posted(owners=(new,))
    if owner.status == WALLET_STATUS_CLOSED:
        return refuse(ERROR_REASON_WALLET_CLOSED, owner_id=owner.owner_id)
    fields = [] if owner.country == request.country_code else ["country_code"]
    if not _ages_agree(adult, owner.adult_from, books.now.date()):
        fields.append("date_of_birth" if request.HasField("date_of_birth") else "age_verified")
    if fields:
        names = ",".join(fields)
        return refuse(ERROR_REASON_WALLET_EXISTS, owner_id=owner.owner_id, fields=names)
    return Posted()


def _ages_agree(asked: date | None, known: date | None, today: date) -> bool:
    # A request without an age agrees with any. Two dates agree if they are equal. "Verified"
    # without a date agrees with every date on or before today.
    if asked is None or asked == known:
        return True
    return known is not None and VERIFIED_ADULT in (asked, known) and max(asked, known) <= today


def set_age(request: UpdateWalletRequest, adult: date | None, books: Books) -> Decision:
    """Replaces what is recorded of the owner's age."""
    owner = books.owners[request.owner_id]
    if owner.status == WALLET_STATUS_CLOSED:
        return refuse(ERROR_REASON_WALLET_CLOSED, owner_id=owner.owner_id)
    return Posted(owners=(replace(owner, adult_from=adult),))


def set_status(
    request: UpdateWalletRequest, open_items: Mapping[str, type[OpenItems]], books: Books
) -> Decision:
    """Freezes, unfreezes or closes a wallet; changes nothing if it has the status already.

    Open items that slices register prevent closing.
    """
    owner = books.owners[request.owner_id]
    if owner.status == request.status:
        return Posted()
    if owner.status == WALLET_STATUS_CLOSED:
        return refuse(ERROR_REASON_WALLET_CLOSED, owner_id=owner.owner_id)
    if request.status == WALLET_STATUS_CLOSED and (refused := _not_empty(owner, open_items, books)):
        return refused
    return Posted(owners=(replace(owner, status=request.status),))


def _not_empty(
    owner: Owner, open_items: Mapping[str, type[OpenItems]], books: Books
) -> Refused | None:
    coins, diamonds = (books.accounts[key] for key in wallet(owner.owner_id))
    held = coins.held + diamonds.held  # an open redemption holds its diamonds
    items = {name: books.row(kind, owner.owner_id) for name, kind in open_items.items()}
    figures = {
        "coins": coins.balance,
        "diamonds": diamonds.balance,
        "held": held,
        **{name: found.open if found else 0 for name, found in items.items()},
    }
    if not any(figures.values()):
        return None
    return refuse(ERROR_REASON_WALLET_NOT_EMPTY, owner_id=owner.owner_id, **figures)
