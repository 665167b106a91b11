"""The rules of orders for coins and their payment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from giftpay.v1 import (
    ERROR_REASON_PAYMENT_MISMATCH,
    ERROR_REASON_PAYMENT_REFERENCE_USED,
    ERROR_REASON_TOP_UP_NOT_FOUND,
    ERROR_REASON_TOP_UP_STATE,
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    TOP_UP_STATE_CANCELLED,
    TOP_UP_STATE_PAID,
    TOP_UP_STATE_PENDING,
    UNIT_COIN,
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    Money,
    PaymentProvider,
    TopUp,
    TopUpState,
)

from giftpay_server.catalog.pricing import PackagePrice, price_package
from giftpay_server.ledger.gates import require_active, require_adult, require_balance_limit
from giftpay_server.ledger.model import (
    Books,
    Decision,
    Grant,
    Leg,
    LotKind,
    MoneyMovement,
    Posted,
    Refused,
    Row,
    refuse,
)
from giftpay_server.protobuf import short_name, timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpRow:
    """An order for one package, at its price when it was ordered."""

    top_up_id: str
    owner_id: str
    package_id: str
    provider: PaymentProvider.ValueType
    currency: str
    minor_units: int
    coins: int
    bonus_coins: int
    catalog_version: int
    create_time: datetime
    state: TopUpState.ValueType = TOP_UP_STATE_PENDING
    payment_reference: str | None = None
    pay_time: datetime | None = None
    paid_after_cancel: bool = False

    @property
    def key(self) -> str:
        return self.top_up_id

    @property
    def price(self) -> Money:
        return Money(currency_code=self.currency, minor_units=self.minor_units)

    @property
    def provider_name(self) -> str:
        return short_name(PaymentProvider, self.provider)

    def message(self) -> TopUp:
        """The order as callers see it."""
        return TopUp(
            top_up_id=self.top_up_id,
            owner_id=self.owner_id,
            package_id=self.package_id,
            provider=self.provider,
            price=self.price,
            coins=self.coins,
            bonus_coins=self.bonus_coins,
            state=self.state,
            payment_reference=self.payment_reference or "",
            paid_after_cancel=self.paid_after_cancel,
            catalog_version=self.catalog_version,
            create_time=timestamp(self.create_time),
            pay_time=timestamp(self.pay_time) if self.pay_time else None,
        )


class Receipt(NamedTuple):
    """A payment that was booked, found by the claim on its reference."""

    claim: str
    movement: MoneyMovement

    @property
    def key(self) -> str:
        return self.claim


def payment_claim(row: TopUpRow, reference: str) -> str:
    """The claim on a payment, which may be used only once."""
    return f"payment:{row.provider_name}:{reference}"


def create(request: CreateTopUpRequest, books: Books, *, top_up_id: str) -> Decision:
    """An order at the price of now; nothing moves."""
    owner = books.owners[request.owner_id]
    if refused := require_active(owner) or require_adult(owner, books.now.date()):
        return refused
    priced = price_package(books.catalog, request.package_id, country=owner.country, now=books.now)
    if isinstance(priced, Refused):
        return priced
    coins = books.accounts[owner.owner_id, UNIT_COIN]
    if refused := require_balance_limit(coins, priced.coins + priced.bonus_coins):
        return refused
    row = _ordered(request, priced, books, top_up_id=top_up_id)
    return _posted(row, rows=(row,))


def _ordered(
    request: CreateTopUpRequest, priced: PackagePrice, books: Books, *, top_up_id: str
) -> TopUpRow:
    return TopUpRow(
        top_up_id=top_up_id,
        owner_id=request.owner_id,
        package_id=request.package_id,
        provider=request.provider,
        currency=priced.price.currency_code,
        minor_units=priced.price.minor_units,
        coins=priced.coins,
        bonus_coins=priced.bonus_coins,
        catalog_version=books.catalog.version,
        create_time=books.now,
    )


def not_found(top_up_id: str) -> Refused:
    """There is no such order."""
    return refuse(ERROR_REASON_TOP_UP_NOT_FOUND, top_up_id=top_up_id)


def cancel(request: CancelTopUpRequest, books: Books) -> Decision:
    """Cancels an order unless it is paid; a cancelled one stays cancelled."""
    row = books.row(TopUpRow, request.top_up_id)
    if row is None:
        return not_found(request.top_up_id)
    if row.state == TOP_UP_STATE_PAID:
        return _paid_already(row)
    cancelled = replace(row, state=TOP_UP_STATE_CANCELLED)
    return _posted(cancelled, rows=(cancelled,))


def confirm(
    request: ConfirmTopUpRequest, books: Books, *, paid: Money | None, transaction_id: str
) -> Decision:
    """Credits the coins of an order after its provider confirmed that `paid` was paid.

    There is no gate: the money has moved, so it is booked whatever the wallet's status, and beyond
    BALANCE_LIMIT. `paid` is None if the provider was not asked, since the order was already paid.
    """
    row, reference = books.row(TopUpRow, request.top_up_id), request.payment_reference
    if row is None:
        return not_found(request.top_up_id)
    if row.state == TOP_UP_STATE_PAID:
        return _posted(row) if row.payment_reference == reference else _paid_already(row)
    if used := books.row(Receipt, payment_claim(row, reference)):
        return refuse(
            ERROR_REASON_PAYMENT_REFERENCE_USED,
            payment_reference=reference,
            top_up_id=used.movement.subject_id,
        )
    assert paid is not None, "only what is paid or decided is confirmed without asking"
    if paid != row.price:
        return _mismatch(expected=row.price, actual=paid)
    return _credited(row, reference, books.now, transaction_id=transaction_id)


def _paid_already(row: TopUpRow) -> Refused:
    return refuse(ERROR_REASON_TOP_UP_STATE, top_up_id=row.top_up_id, state="PAID")


def _mismatch(*, expected: Money, actual: Money) -> Refused:
    expected_text, actual_text = (
        f"{money.currency_code} {money.minor_units}" for money in (expected, actual)
    )
    return refuse(ERROR_REASON_PAYMENT_MISMATCH, expected=expected_text, actual=actual_text)


def _credited(row: TopUpRow, reference: str, now: datetime, *, transaction_id: str) -> Posted:
    paid = replace(
        row,
        state=TOP_UP_STATE_PAID,
        payment_reference=reference,
        pay_time=now,
        paid_after_cancel=row.state == TOP_UP_STATE_CANCELLED,
    )
    movement = MoneyMovement(
        transaction_id=transaction_id,
        subject_id=row.top_up_id,
        provider=row.provider_name,
        reference=reference,
        currency=row.currency,
        minor_units=row.minor_units,
        create_time=now,
    )
    receipt = Receipt(payment_claim(row, reference), movement)
    return _posted(paid, legs=_legs(row), rows=(paid, receipt))


def _legs(row: TopUpRow) -> list[Leg]:
    """The coins bought come before the bonus, so that a refund of the purchase finds them first."""
    bought = Grant(LotKind.PAID, row.top_up_id, row.minor_units, row.currency)
    legs = [Leg(row.owner_id, UNIT_COIN, row.coins, SYSTEM_ACCOUNT_ISSUANCE, bought)]
    if row.bonus_coins:
        bonus = Grant(LotKind.BONUS, row.top_up_id)
        legs.append(Leg(row.owner_id, UNIT_COIN, row.bonus_coins, SYSTEM_ACCOUNT_PROMOTION, bonus))
    return legs


def _posted(row: TopUpRow, *, legs: Sequence[Leg] = (), rows: Sequence[Row] = ()) -> Posted:
    return Posted(legs=legs, rows=rows, answer=row.message().SerializeToString())
