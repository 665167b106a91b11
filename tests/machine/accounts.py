"""The model's wallets, and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    UNIT_COIN,
    WALLET_STATUS_ACTIVE,
    AgeStatus,
    Balance,
    SystemAccount,
    Unit,
    Wallet,
    WalletStatus,
)

VERIFIED = "verified"  # in the place of a date of birth
ADULT_BIRTH = "1990-05-05"
MINOR_BIRTH = f"{date.today().year - 10}-05-05"


class Line(NamedTuple):
    """A line of a statement."""

    amount: int
    balance: int  # after it
    transaction_id: str
    system: SystemAccount.ValueType
    gift_id: str = ""  # the transaction of the gift that it is about


@dataclass
class Account:
    """What one owner has in one unit."""

    balance: int = 0
    held: int = 0
    lines: list[Line] = field(default_factory=list)

    @property
    def available(self) -> int:
        return self.balance - self.held

    def post(
        self,
        amount: int,
        transaction_id: str,
        system: SystemAccount.ValueType,
        *,
        gift_id: str = "",
    ) -> None:
        """Moves an amount, above or below zero."""
        self.balance += amount
        self.lines.append(Line(amount, self.balance, transaction_id, system, gift_id))

    def message(self) -> Balance:
        return Balance(
            balance=self.balance,
            held=self.held,
            available=self.available,
            last_seq=len(self.lines),
        )


@dataclass
class Owner:
    """A wallet; `age` is a date of birth, VERIFIED, or None."""

    owner_id: str
    country: str
    age: str | None
    status: WalletStatus.ValueType = WALLET_STATUS_ACTIVE
    coins: Account = field(default_factory=Account)
    diamonds: Account = field(default_factory=Account)

    @property
    def is_adult(self) -> bool:
        return self.age in (VERIFIED, ADULT_BIRTH)

    @property
    def age_status(self) -> AgeStatus.ValueType:
        if self.age is None:
            return AGE_STATUS_UNVERIFIED
        return AGE_STATUS_ADULT if self.is_adult else AGE_STATUS_UNDER_AGE

    def account(self, unit: Unit.ValueType) -> Account:
        return self.coins if unit == UNIT_COIN else self.diamonds

    def message(self) -> Wallet:
        return Wallet(
            owner_id=self.owner_id,
            country_code=self.country,
            status=self.status,
            age_status=self.age_status,
            coins=self.coins.message(),
            diamonds=self.diamonds.message(),
        )
