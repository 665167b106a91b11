"""Who may open, change and close a wallet, and when an owner comes of age. Pure."""

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

# Of an owner whose age a caller verified without telling it; no date of birth leads here.
VERIFIED_ADULT = date(1900, 1, 1)


def adult_from(birth: date) -> date:
    """The day of coming of age; who was born on 29 February comes of age on 1 March."""
    year = birth.year + ADULT_AGE
    return date(year, 3, 1) if (birth.month, birth.day) == (2, 29) else birth.replace(year=year)


def age_status(adult: date | None, today: date) -> AgeStatus.ValueType:
    """What the day of coming of age says today (UTC)."""
    if adult is None:
        return AGE_STATUS_UNVERIFIED
    return AGE_STATUS_ADULT if adult <= today else AGE_STATUS_UNDER_AGE


def open_wallet(request: OpenWalletRequest, adult: date | None, books: Books) -> Decision:
    """Makes the owner; one that is there already is left as it is, if the details agree."""
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
        told = ",".join(fields)
        return refuse(ERROR_REASON_WALLET_EXISTS, owner_id=owner.owner_id, fields=told)
    return Posted()


def _ages_agree(asked: date | None, known: date | None, today: date) -> bool:
    # Who says nothing of the age contradicts nothing. Two days agree if they are the same; a mere
    # "verified" agrees with every day on or before today.
    if asked is None or asked == known:
        return True
    return known is not None and VERIFIED_ADULT in (asked, known) and max(asked, known) <= today


def set_age(request: UpdateWalletRequest, adult: date | None, books: Books) -> Decision:
    """Records what is known of the owner's age, in the place of what was."""
    owner = books.owners[request.owner_id]
    if owner.status == WALLET_STATUS_CLOSED:
        return refuse(ERROR_REASON_WALLET_CLOSED, owner_id=owner.owner_id)
    return Posted(owners=(replace(owner, adult_from=adult),))


def set_status(
    request: UpdateWalletRequest, open_items: Mapping[str, type[OpenItems]], books: Books
) -> Decision:
    """Freezes, unfreezes or closes; asking for the status it has changes nothing.

    What slices register as open items keeps the wallet from being closed.
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
