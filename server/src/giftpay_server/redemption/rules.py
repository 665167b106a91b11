"""The rules of redemptions: their holds, entries and movements of money by state. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from giftpay.v1 import (
    ERROR_REASON_PRICE_CHANGED,
    ERROR_REASON_REDEMPTION_NOT_FOUND,
    ERROR_REASON_REDEMPTION_STATE,
    REDEMPTION_STATE_CANCELLED,
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_SUBMITTED,
    REDEMPTION_STATE_UNKNOWN,
    SYSTEM_ACCOUNT_PAYOUTS,
    UNIT_DIAMOND,
    CancelRedemptionRequest,
    CreateRedemptionRequest,
    Money,
    Redemption,
    RedemptionQuote,
    RedemptionState,
)

from giftpay_server.catalog.pricing import Quote, quote
from giftpay_server.ledger.gates import require_active, require_adult, require_available
from giftpay_server.ledger.model import (
    Books,
    Decision,
    Hold,
    HoldState,
    Leg,
    Owner,
    Posted,
    Refused,
    refuse,
)
from giftpay_server.protobuf import short_name

HOLDING = (REDEMPTION_STATE_HELD, REDEMPTION_STATE_SUBMITTED, REDEMPTION_STATE_UNKNOWN)
"""The states with an open hold on the diamonds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRow:
    """The current state of a redemption; money in minor units."""

    redemption_id: str
    owner_id: str
    state: RedemptionState.ValueType = REDEMPTION_STATE_HELD
    diamonds: int
    currency: str
    gross: int
    fee: int
    catalog_version: int
    create_time: datetime
    update_time: datetime  # when it reached its state
    next_time: datetime | None  # when the provider is called again; None: never
    submit_time: datetime | None = None  # when it was first sent
    calls: int = 0  # to the provider, begun so far
    provider_key: str | None = None
    return_reason: str | None = None
    generation: int = 0  # of its destination, -1 where that is erased; read, never written

    @property
    def key(self) -> str:
        return self.redemption_id

    @property
    def amount(self) -> int:
        return self.gross - self.fee


def create(request: CreateRedemptionRequest, redemption_id: str, books: Books) -> Decision:
    """Places a hold on the diamonds and makes the payout due."""
    owner = books.owners[request.owner_id]
    if refused := require_active(owner) or require_adult(owner, books.now.date()):
        return refused
    quoted = quote(books.catalog, request.diamonds, request.currency_code)
    if isinstance(quoted, Refused):
        return quoted
    version = books.catalog.version
    account = books.accounts[request.owner_id, UNIT_DIAMOND]
    if refused := _pinned(request, quoted, version) or require_available(account, request.diamonds):
        return refused
    row = _opened(request, quoted, redemption_id, books)
    made = Redemption(quote=quote_message(quoted, request.diamonds, version), state=row.state)
    held = hold(row, HoldState.OPEN)
    return Posted(holds=(held,), rows=(row,), answer=made.SerializeToString())


def _pinned(request: CreateRedemptionRequest, quoted: Quote, version: int) -> Refused | None:
    expected = request.expected_amount.minor_units
    if not request.HasField("expected_amount") or expected == quoted.amount:
        return None
    return refuse(
        ERROR_REASON_PRICE_CHANGED,
        expected=expected,
        actual=quoted.amount,
        catalog_version=version,
    )


def _opened(
    request: CreateRedemptionRequest, quoted: Quote, redemption_id: str, books: Books
) -> RedemptionRow:
    return RedemptionRow(
        redemption_id=redemption_id,
        owner_id=request.owner_id,
        diamonds=request.diamonds,
        currency=quoted.currency_code,
        gross=quoted.gross,
        fee=quoted.fee,
        catalog_version=books.catalog.version,
        create_time=books.now,
        update_time=books.now,
        next_time=books.now,
        generation=books.owners[request.owner_id].erasures,
    )


def cancel(request: CancelRedemptionRequest, books: Books) -> Decision:
    """Releases the hold if nothing was sent; a cancelled redemption stays as it is."""
    row = books.row(RedemptionRow, request.redemption_id)
    if row is None:
        return not_found(request.redemption_id)
    if row.state == REDEMPTION_STATE_CANCELLED:
        return Posted()
    if row.state != REDEMPTION_STATE_HELD:
        return wrong_state(row)
    return moved(row, cancelled(row, books.now), now=books.now)


def cancelled(row: RedemptionRow, now: datetime, *, reason: str | None = None) -> RedemptionRow:
    """The redemption in the state CANCELLED."""
    state = REDEMPTION_STATE_CANCELLED
    return replace(row, state=state, update_time=now, next_time=None, return_reason=reason)


def not_found(redemption_id: str) -> Refused:
    """There is no such redemption."""
    return refuse(ERROR_REASON_REDEMPTION_NOT_FOUND, redemption_id=redemption_id)


def wrong_state(row: RedemptionRow) -> Refused:
    """The redemption's state does not allow this."""
    state = short_name(RedemptionState, row.state)
    return refuse(ERROR_REASON_REDEMPTION_STATE, redemption_id=row.redemption_id, state=state)


def moved(before: RedemptionRow, after: RedemptionRow, *, now: datetime) -> Posted:
    """Posts a change of state: a hold that ends is captured or released.

    If the money came back after it was paid, the diamonds are credited by a new entry.
    """
    posted = Posted(rows=(after,))
    if before.state in HOLDING and after.state not in HOLDING:
        ended = HoldState.CAPTURED if is_paid(after) else HoldState.RELEASED
        posted.holds = (hold(before, ended, now),)
    if is_paid(before) != is_paid(after):
        amount = -after.diamonds if is_paid(after) else after.diamonds
        posted.legs = (Leg(after.owner_id, UNIT_DIAMOND, amount, SYSTEM_ACCOUNT_PAYOUTS),)
    return posted


def is_erased(row: RedemptionRow, owner: Owner) -> bool:
    """Whether the destination was erased."""
    return row.generation < owner.erasures


def is_paid(row: RedemptionRow) -> bool:
    """Whether the creator has the money, according to the books."""
    return row.state == REDEMPTION_STATE_PAID


def hold(row: RedemptionRow, state: HoldState, end_time: datetime | None = None) -> Hold:
    """The hold on the redemption's diamonds."""
    return Hold(
        owner_id=row.owner_id,
        hold_id=row.redemption_id,
        unit=UNIT_DIAMOND,
        amount=row.diamonds,
        state=state,
        create_time=row.create_time,
        end_time=end_time,
    )


def quote_message(quoted: Quote, diamonds: int, catalog_version: int) -> RedemptionQuote:
    """The quote as a message."""
    gross, fee, amount = (
        Money(currency_code=quoted.currency_code, minor_units=minor_units)
        for minor_units in (quoted.gross, quoted.fee, quoted.amount)
    )
    return RedemptionQuote(
        diamonds=diamonds,
        gross=gross,
        fee=fee,
        amount=amount,
        minor_units_per_diamond=quoted.minor_units_per_diamond,
        minimum_diamonds=quoted.minimum_diamonds,
        catalog_version=catalog_version,
    )
