"""The laws of payouts: whatever happens in whatever order, nothing is paid or given back twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from giftpay.v1 import (
    REDEMPTION_STATE_CANCELLED,
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_RETURNED,
    REDEMPTION_STATE_SUBMITTED,
    REDEMPTION_STATE_UNKNOWN,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
)
from giftpay_server.redemption.rules import HOLDING, RedemptionRow, is_paid
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_REJECTED,
    PAYOUT_RESULT_RETURNED,
    PayoutStep,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.redemption.conftest import DIAMONDS
from tests.redemption.payout_model import EARNED, Call, House, Provider, Result, answer, make_call

PICK = st.integers(min_value=0, max_value=11)  # of whatever there is
OUTCOME = st.sampled_from([PAYOUT_RESULT_PAID, PAYOUT_RESULT_PENDING, PAYOUT_RESULT_DECLINED])
TURN = st.sampled_from([PAYOUT_RESULT_RETURNED, PAYOUT_RESULT_PAID, PAYOUT_RESULT_DECLINED])
RARELY = st.sampled_from([False, False, False, True])
HOUR, DAY = 3_600, 86_400

ENDS: dict[int, tuple[Result | None, ...]] = {
    REDEMPTION_STATE_PAID: (PAYOUT_RESULT_PAID,),
    REDEMPTION_STATE_RETURNED: (PAYOUT_RESULT_DECLINED, PAYOUT_RESULT_RETURNED, None),
    REDEMPTION_STATE_CANCELLED: (None,),
    REDEMPTION_STATE_UNKNOWN: (None,),  # left to an operator
}
"""The possible final states of a payout at the provider; None: it was never made."""


class Payouts(RuleBasedStateMachine):
    """Calls are made late or never; orders and answers arrive late, twice or never; time passes.

    Only one thing is promised: an order does not travel for more than an hour.
    """

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.provider = Provider()
        self.in_flight: list[Call | PayoutStep] = []  # calls permitted, and results not recorded
        self.orders: list[Call] = []  # on their way to the provider

    @precondition(lambda self: self.house.diamonds.available >= DIAMONDS)
    @rule(unreadable=RARELY, paid_before=RARELY)
    def redeem(self, unreadable: bool, paid_before: bool) -> None:
        made = self.house.redeem()
        if unreadable:
            self.provider.unreadable.add(made)
        if paid_before:
            self.provider.others.add(made)

    @precondition(lambda self: self.house.rows)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        row = picked(self.house.rows, pick)
        can = row.state in (REDEMPTION_STATE_HELD, REDEMPTION_STATE_CANCELLED)
        assert self.house.cancel(row.redemption_id) == can

    @rule(change=st.sampled_from(["freeze", "thaw", "erase"]))
    def change_the_owner(self, change: str) -> None:
        if change == "erase":
            self.house.erase()
        else:
            frozen = change == "freeze"
            self.house.mia.status = WALLET_STATUS_FROZEN if frozen else WALLET_STATUS_ACTIVE

    @precondition(lambda self: self.house.rows)
    @rule(pick=PICK, outcome=OUTCOME, steps=st.integers(min_value=1, max_value=4))
    def work(self, pick: int, outcome: Result, steps: int) -> None:
        """A worker gets so far; somebody may go on from there, or nobody."""
        row = picked([row for row in self.house.rows if row.next_time] or self.house.rows, pick)
        self._keep(self._begun(row))
        for _ in range(1, steps):
            if self.orders:
                self._arrive(self.orders[-1], outcome)
            elif self.in_flight:
                self._go_on(self.in_flight[-1])

    @precondition(lambda self: self.in_flight)
    @rule(pick=PICK)
    def go_on(self, pick: int) -> None:
        self._go_on(picked(self.in_flight, pick))

    @precondition(lambda self: self.in_flight)
    @rule(pick=PICK)
    def die(self, pick: int) -> None:
        """A worker is killed with what it was about to call or to record."""
        self.in_flight.remove(picked(self.in_flight, pick))

    @precondition(lambda self: self.orders)
    @rule(pick=PICK, outcome=OUTCOME, twice=st.booleans())
    def arrive(self, pick: int, outcome: Result, twice: bool) -> None:
        order = picked(self.orders, pick)
        self.orders += [order] * twice
        self._arrive(order, outcome)

    @precondition(lambda self: self.orders)
    @rule(pick=PICK)
    def stop_waiting(self, pick: int) -> None:
        """The order may arrive all the same."""
        self._keep(picked(self.orders, pick).step(PAYOUT_RESULT_LOST))

    @precondition(lambda self: self.orders_beside_others())
    @rule(pick=PICK)
    def arrive_beside_another(self, pick: int) -> None:
        """The provider refuses an order while it works on another under the same key."""
        order = picked(self.orders_beside_others(), pick)
        self.orders.remove(order)
        self._keep(answer(self.provider, order, PAYOUT_RESULT_REJECTED))

    @precondition(lambda self: self.provider.states)
    @rule(pick=PICK, outcome=TURN)
    def turn(self, pick: int, outcome: Result) -> None:
        self.provider.decide(picked(sorted(self.provider.states), pick), outcome)

    @rule(seconds=st.sampled_from([1, 31, 2 * HOUR, 3 * DAY, 28 * DAY, 31 * DAY]))
    def pass_time(self, seconds: int) -> None:
        self.house.books.now += timedelta(seconds=seconds)
        if seconds > HOUR:
            self.orders.clear()

    @invariant()
    def diamonds_are_held_or_paid_for_or_there(self) -> None:
        rows = self.house.rows
        paid = [row for row in rows if is_paid(row)]
        assert self.house.diamonds.held == sum(row.diamonds for row in rows if row.state in HOLDING)
        assert self.house.diamonds.balance == EARNED - sum(row.diamonds for row in paid)
        assert self.house.money == -sum(row.amount for row in paid)

    @invariant()
    def a_hold_ends_once(self) -> None:
        ended = Counter(row.redemption_id for row in self.house.rows if row.state not in HOLDING)
        assert self.house.captured + self.house.released == ended
        assert self.house.captured == self.house.paid

    @invariant()
    def the_provider_pays_once_and_only_what_is_stored_as_sent(self) -> None:
        for row in self.house.rows:
            state = self.provider.states.get(row.redemption_id)
            assert self.provider.payouts[row.redemption_id] <= 1
            if row.state in (REDEMPTION_STATE_HELD, REDEMPTION_STATE_CANCELLED):
                assert state is None
            if is_paid(row):
                assert state in (PAYOUT_RESULT_PAID, PAYOUT_RESULT_RETURNED)
            if row.state == REDEMPTION_STATE_RETURNED:
                assert state in ENDS[row.state]

    @invariant()
    def what_was_paid_under_other_books_ends_nothing(self) -> None:
        for row in self.house.rows:
            if row.redemption_id in self.provider.others:
                assert row.state not in (REDEMPTION_STATE_PAID, REDEMPTION_STATE_RETURNED)

    @invariant()
    def what_has_not_ended_is_looked_after(self) -> None:
        for row in self.house.rows:
            waits = row.state in (REDEMPTION_STATE_HELD, REDEMPTION_STATE_SUBMITTED)
            assert row.next_time is not None or not waits

    def teardown(self) -> None:
        """In the end, with a worker that lives, books and provider agree."""
        self.house.mia.status = WALLET_STATUS_ACTIVE
        self.in_flight.clear()
        self.orders.clear()
        for key in self.provider.states:
            self.provider.decide(key, PAYOUT_RESULT_PAID)
        no_longer_watched = [row for row in self.house.rows if row.next_time is None]
        while due := [row for row in self.house.rows if row.next_time is not None]:
            self._work_off(due[0])
        for row in self.house.rows:
            if row not in no_longer_watched:
                assert self.provider.states.get(row.redemption_id) in ENDS[row.state]

    def orders_beside_others(self) -> list[Call]:
        calls = Counter(order.redemption_id for order in set(self.orders))
        return [order for order in self.orders if calls[order.redemption_id] > 1]

    def _begun(self, row: RedemptionRow) -> Call | None:
        call = self.house.begin(row.redemption_id, number=row.calls + 1)
        if row.state == REDEMPTION_STATE_HELD and (row.generation < 0 or self.house.is_frozen):
            assert call is None
        if call is not None:  # nobody else may make it
            assert self.house.begin(row.redemption_id, number=call.number) is None
        return call

    def _keep(self, item: Call | PayoutStep | None) -> None:
        if item is not None:
            self.in_flight.append(item)

    def _go_on(self, item: Call | PayoutStep) -> None:
        self.in_flight.remove(item)
        if isinstance(item, PayoutStep):
            self.house.record(item)
            return
        made = make_call(self.house, self.provider, item)
        if isinstance(made, Call):
            self.orders.append(made)
        else:
            self._keep(made)

    def _arrive(self, order: Call, outcome: Result) -> None:
        self.orders.remove(order)
        result = self.provider.take(order.redemption_id, outcome, self.house.books.now)
        self._keep(answer(self.provider, order, result))

    def _work_off(self, row: RedemptionRow) -> None:
        self.house.books.now = max(self.house.books.now, row.next_time or self.house.books.now)
        self._keep(self._begun(row))
        while self.in_flight or self.orders:
            if self.orders:
                self._arrive(self.orders[0], PAYOUT_RESULT_PAID)
            else:
                self._go_on(self.in_flight[0])


def picked(items: list[Any], pick: int) -> Any:
    return items[pick % len(items)]


TestPayouts = Payouts.TestCase
TestPayouts.settings = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # machines may be busy
)
