"""The laws of orders: whatever is created, cancelled and confirmed, coins come once a payment."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PROMOTION,
    TOP_UP_STATE_PAID,
    UNIT_COIN,
    CancelTopUpRequest,
    Catalog,
    CoinPackage,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    Money,
    Promotion,
    Rational,
)
from giftpay_server.catalog.rules import Catalog as PriceList
from giftpay_server.ledger.model import Books, Command, Draft, LotKind, Posted
from giftpay_server.ledger.rules import decide
from giftpay_server.slices import REGISTRY
from giftpay_server.top_up import rules
from giftpay_server.top_up.messages import cancel_command, confirm_command, create_command
from giftpay_server.top_up.rules import Receipt, TopUpRow
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.histories import OWNERS, opening_books

COINS, BONUS, PRICE = 100, 25, 99


class Step(NamedTuple):
    """What somebody asks for, of one of few orders, with one of few payments."""

    action: str
    order: int
    payment: int
    minor_units: int


def steps() -> st.SearchStrategy[list[Step]]:
    actions = st.sampled_from(("create", "cancel", "confirm", "confirm", "confirm"))
    amounts = st.sampled_from((PRICE, PRICE, PRICE, PRICE + 1))
    step = st.builds(Step, actions, st.integers(0, 4), st.integers(0, 3), amounts)
    return st.lists(step, max_size=30)


def price_list(bonus: Rational) -> PriceList:
    package = CoinPackage(
        package_id="coins", price=Money(currency_code="EUR", minor_units=PRICE), coins=COINS
    )
    promotion = Promotion(
        promotion_id="spring",
        bonus_per_coin=bonus,
        start_time=Timestamp(seconds=0),
        end_time=Timestamp(seconds=2**32),
    )
    return PriceList.of(
        Catalog(version=1, packages=[package], promotions=[promotion], default_currency_code="EUR")
    )


def adults(bonus: Rational | None = None) -> Books:
    books = opening_books([0, 0, 0])
    books.catalog = price_list(bonus or Rational(numerator=1, denominator=4))
    for owner in books.owners.values():
        owner.adult_from = date(2000, 1, 1)
    return books


def order_id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


@dataclass
class Story:
    """Books, and all that was ever written of them."""

    books: Books = field(default_factory=adults)
    drafts: list[Draft] = field(default_factory=list)
    states: dict[str, list[int]] = field(default_factory=dict)  # of each order, in their order

    def take(self, number: int, step: Step) -> None:
        command = self._command(str(uuid.UUID(int=1000 + number)), step)
        if command is not None:
            self.drafts.append(Draft())
            decide([command], self.books, self.drafts[-1], REGISTRY.movements)
        for order in self.orders():
            self.states.setdefault(order.top_up_id, []).append(order.state)

    def _command(self, key: str, step: Step) -> Command | None:
        order = self.books.row(TopUpRow, order_id(step.order))
        if step.action == "create":
            return create(step.order)
        if order is None:
            return None
        if step.action == "cancel":
            request = CancelTopUpRequest(idempotency_key=key, top_up_id=order.top_up_id)
            return cancel_command(ask(request, Call("test")), order)
        confirmation = ConfirmTopUpRequest(
            idempotency_key=key, top_up_id=order.top_up_id, payment_reference=f"pay-{step.payment}"
        )
        paid = Money(currency_code="EUR", minor_units=step.minor_units)
        return confirm_command(ask(confirmation, Call("test")), order, paid=paid)

    def orders(self) -> Sequence[TopUpRow]:
        return [row for row in self.books.rows.values() if isinstance(row, TopUpRow)]

    def receipts(self) -> Sequence[Receipt]:
        return [row for row in self.books.rows.values() if isinstance(row, Receipt)]


def create(number: int) -> Command:
    request = CreateTopUpRequest(
        idempotency_key=order_id(number),
        owner_id=OWNERS[number % len(OWNERS)],
        package_id="coins",
        provider=PAYMENT_PROVIDER_SANDBOX,
    )
    return create_command(ask(request, Call("test")))


def play(history: Sequence[Step]) -> Story:
    story = Story()
    for number, step in enumerate(history):
        story.take(number, step)
    return story


@given(steps())
def test_balances_are_what_was_paid_for(history: list[Step]) -> None:
    story = play(history)
    for owner_id in OWNERS:
        paid = [o for o in story.orders() if (o.owner_id, o.state) == (owner_id, TOP_UP_STATE_PAID)]
        balance = story.books.accounts[owner_id, UNIT_COIN].balance
        assert balance == sum(order.coins + order.bonus_coins for order in paid)


@given(steps())
def test_payments_and_paid_orders_are_one_to_one(history: list[Step]) -> None:
    story = play(history)
    paid = {
        (order.top_up_id, order.payment_reference)
        for order in story.orders()
        if order.state == TOP_UP_STATE_PAID
    }
    receipts = story.receipts()
    movements = [receipt.movement for receipt in receipts]
    assert {(each.subject_id, each.reference) for each in movements} == paid
    assert len({top_up_id for top_up_id, _ in paid}) == len(paid)
    assert len({reference for _, reference in paid}) == len(paid)
    assert set(story.books.claims) == {receipt.claim for receipt in receipts}


@given(steps())
def test_a_paid_order_stays_paid(history: list[Step]) -> None:
    story = play(history)
    for states in story.states.values():
        assert states == sorted(states, key=lambda state: state == TOP_UP_STATE_PAID)


@given(steps())
def test_bought_coins_are_minted_before_their_bonus(history: list[Step]) -> None:
    story = play(history)
    lots = [lot for draft in story.drafts for lot in draft.lots]
    pairs = list(zip(lots[::2], lots[1::2], strict=True))
    for paid, bonus in pairs:
        assert (paid.grant.kind, paid.size, paid.grant.price) == (LotKind.PAID, COINS, PRICE)
        assert (bonus.grant.kind, bonus.size, bonus.grant.price) == (LotKind.BONUS, BONUS, None)
        assert bonus.first == paid.first + paid.size
        assert bonus.grant.source_id == paid.grant.source_id
    assert {paid.grant.source_id for paid, _ in pairs} == {
        receipt.movement.subject_id for receipt in story.receipts()
    }


@given(steps())
def test_issuance_bears_what_was_bought_and_promotion_the_bonus(history: list[Step]) -> None:
    story = play(history)
    entries = [entry for draft in story.drafts for entry in draft.entries]
    for system, amount in ((SYSTEM_ACCOUNT_ISSUANCE, COINS), (SYSTEM_ACCOUNT_PROMOTION, BONUS)):
        amounts = [entry.amount for entry in entries if entry.system == system]
        assert amounts == [amount] * len(story.receipts())


def test_a_package_without_a_bonus_is_one_movement() -> None:
    books = adults(bonus=Rational(numerator=1, denominator=1000))
    decide([create(0)], books, Draft(), REGISTRY.movements)
    order = books.row(TopUpRow, order_id(0))
    assert order is not None
    assert order.bonus_coins == 0
    request = ConfirmTopUpRequest(top_up_id=order.top_up_id, payment_reference="pay-1")
    paid = rules.confirm(request, books, paid=order.price, transaction_id=order_id(9))
    assert isinstance(paid, Posted)
    assert [leg.amount for leg in paid.legs] == [COINS]
