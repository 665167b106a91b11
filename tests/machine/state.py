"""The model's state: wallets, and what was made in them."""

from __future__ import annotations

from typing import NamedTuple

from giftpay.v1 import (
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
    Catalog,
    Gift,
    Rational,
    Redemption,
    TopUp,
)

from tests.machine.accounts import Owner


class Refused(NamedTuple):
    """A refusal: the reason without its prefix, and its figures."""

    reason: str
    figures: dict[str, str]


def refused(reason: str, **figures: object) -> Refused:
    return Refused(reason, {name: str(value) for name, value in figures.items()})


class State:
    """Everything that a decision may look at or change."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.owners: dict[str, Owner] = {}
        self.gifts: dict[str, Gift] = {}
        self.reversals: dict[str, str] = {}  # by gift
        self.top_ups: dict[str, TopUp] = {}
        self.payments: dict[str, str] = {}  # the order that a reference paid for
        self.redemptions: dict[str, Redemption] = {}
        self.personal: dict[str, set[str]] = {}  # keys by owner
        self.erased: set[str] = set()  # keys


def missing(state: State, *owner_ids: str) -> Refused | None:
    """The first of them without a wallet."""
    for owner_id in owner_ids:
        if owner_id not in state.owners:
            return refused("WALLET_NOT_FOUND", owner_id=owner_id)
    return None


def stopped(owner: Owner) -> Refused | None:
    """Frozen or closed."""
    if owner.status == WALLET_STATUS_ACTIVE:
        return None
    frozen = owner.status == WALLET_STATUS_FROZEN
    return refused("WALLET_FROZEN" if frozen else "WALLET_CLOSED", owner_id=owner.owner_id)


def too_young(owner: Owner) -> Refused | None:
    """Not known to be of age."""
    if owner.age is None:
        return refused("AGE_UNVERIFIED", owner_id=owner.owner_id)
    if not owner.is_adult:
        return refused("UNDER_AGE", owner_id=owner.owner_id, adult_age=18)
    return None


def short(unit: str, owner_id: str, *, available: int, required: int) -> Refused:
    """Not enough COINS or DIAMONDS."""
    reason = f"INSUFFICIENT_{unit}"
    return refused(reason, owner_id=owner_id, available=available, required=required)


def at_rate(amount: int, rate: Rational) -> int:
    """Rounded down."""
    return amount * rate.numerator // rate.denominator
