"""Steps of a payout that take rare timing, and when the provider is asked again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from giftpay.v1 import (
    REDEMPTION_STATE_CANCELLED,
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_RETURNED,
    REDEMPTION_STATE_SUBMITTED,
    REDEMPTION_STATE_UNKNOWN,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
    RedemptionState,
)
from giftpay_server.redemption.steps import LOOK_MAX, RETURN_WINDOW, SENT, CallPermission
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_DIFFERS,
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_REJECTED,
    PAYOUT_RESULT_RETURNED,
)

from tests.redemption.conftest import DIAMONDS
from tests.redemption.payout_model import (
    EARNED,
    WINDOW,
    Call,
    House,
    Provider,
    Result,
    make_call,
)


@pytest.fixture
def house() -> House:
    return House()


def begun(house: House, redemption_id: str) -> Call:
    call = house.begin(redemption_id, number=house.row(redemption_id).calls + 1)
    assert call is not None
    return call


def state(house: House, redemption_id: str) -> RedemptionState.ValueType:
    return house.row(redemption_id).state


def test_a_worker_that_stalled_calls_nobody(house: House) -> None:
    provider, made = Provider(), house.redeem()
    stalled = begun(house, made)
    house.books.now += timedelta(seconds=30)
    order = make_call(house, provider, begun(house, made))
    assert isinstance(order, Call)
    provider.take(made, PAYOUT_RESULT_PAID, house.books.now)
    house.books.now += WINDOW  # the provider would pay once more
    assert make_call(house, provider, stalled) is None


def test_a_payout_is_not_sent_again_for_a_wallet_frozen_since(house: House) -> None:
    made = house.redeem()
    begun(house, made)
    house.mia.status = WALLET_STATUS_FROZEN
    assert begun(house, made).permission is CallPermission.LOOK
    house.mia.status = WALLET_STATUS_ACTIVE
    assert begun(house, made).permission is CallPermission.LOOK_OR_SEND


@pytest.mark.parametrize(
    ("days", "permission"),
    [
        (26.9, CallPermission.LOOK_OR_SEND),
        (27.1, CallPermission.LAST_LOOK),
        (31, CallPermission.LAST_LOOK),
    ],
)
def test_a_payout_is_not_sent_again_when_its_key_may_be_forgotten(
    house: House, days: float, permission: CallPermission
) -> None:
    made = house.redeem()
    begun(house, made)
    house.books.now += timedelta(days=days)
    assert begun(house, made).permission is permission


def test_a_rejection_ends_it_only_while_nobody_sends_again(house: House) -> None:
    made, other = house.redeem(), house.redeem()
    alone, first = begun(house, made), begun(house, other)
    begun(house, other)
    for call in (alone, first):
        house.record(call.step(PAYOUT_RESULT_REJECTED))
    assert state(house, made) == REDEMPTION_STATE_RETURNED
    assert state(house, other) == REDEMPTION_STATE_UNKNOWN
    assert house.diamonds.held == DIAMONDS


@pytest.mark.parametrize(
    ("results", "end"),
    [
        ([PAYOUT_RESULT_RETURNED, PAYOUT_RESULT_PAID], REDEMPTION_STATE_RETURNED),
        ([PAYOUT_RESULT_DECLINED, PAYOUT_RESULT_LOST], REDEMPTION_STATE_RETURNED),
        (
            [PAYOUT_RESULT_PAID, PAYOUT_RESULT_RETURNED, PAYOUT_RESULT_PAID],
            REDEMPTION_STATE_RETURNED,
        ),
        ([PAYOUT_RESULT_PAID, PAYOUT_RESULT_PENDING], REDEMPTION_STATE_PAID),
        ([PAYOUT_RESULT_PAID, PAYOUT_RESULT_LOST], REDEMPTION_STATE_PAID),
        ([PAYOUT_RESULT_PAID, PAYOUT_RESULT_NOT_FOUND], REDEMPTION_STATE_PAID),
        ([PAYOUT_RESULT_PAID, PAYOUT_RESULT_REJECTED], REDEMPTION_STATE_PAID),
        ([PAYOUT_RESULT_NOT_FOUND, PAYOUT_RESULT_PAID], REDEMPTION_STATE_PAID),
        ([PAYOUT_RESULT_LOST, PAYOUT_RESULT_PENDING], REDEMPTION_STATE_SUBMITTED),
        ([PAYOUT_RESULT_NOT_FOUND, PAYOUT_RESULT_PENDING], REDEMPTION_STATE_SUBMITTED),
        ([PAYOUT_RESULT_NOT_FOUND, PAYOUT_RESULT_LOST], REDEMPTION_STATE_UNKNOWN),
        ([PAYOUT_RESULT_DIFFERS, PAYOUT_RESULT_LOST], REDEMPTION_STATE_UNKNOWN),
        ([PAYOUT_RESULT_REJECTED, PAYOUT_RESULT_DIFFERS], REDEMPTION_STATE_UNKNOWN),
        ([PAYOUT_RESULT_PAID, PAYOUT_RESULT_DIFFERS], REDEMPTION_STATE_PAID),
        ([PAYOUT_RESULT_RETURNED, PAYOUT_RESULT_DIFFERS], REDEMPTION_STATE_RETURNED),
    ],
)
def test_results_that_come_late_undo_nothing(
    house: House, results: list[Result], end: RedemptionState.ValueType
) -> None:
    made = house.redeem()
    calls = [begun(house, made) for _ in results]
    for call, result in zip(calls, results, strict=True):
        house.record(call.step(result))
    assert state(house, made) == end
    assert house.diamonds.balance == EARNED - DIAMONDS * (end == REDEMPTION_STATE_PAID)
    assert house.diamonds.held == DIAMONDS * (end in SENT)
    goes_on = end in (REDEMPTION_STATE_PAID, REDEMPTION_STATE_SUBMITTED)
    assert (house.row(made).next_time is not None) == goes_on


def test_what_was_never_sent_takes_no_result(house: House) -> None:
    held, cancelled = house.redeem(), house.redeem()
    house.cancel(cancelled)
    for made in (held, cancelled):
        call = Call(made, 1, CallPermission.NONE, house.books.now)
        house.record(call.step(PAYOUT_RESULT_PAID))
    assert state(house, held) == REDEMPTION_STATE_HELD
    assert state(house, cancelled) == REDEMPTION_STATE_CANCELLED
    assert house.diamonds.balance == EARNED


def looks(house: House, redemption_id: str, *, until: datetime) -> list[timedelta]:
    """The times between the calls that begin when they are due."""
    waits = []
    while (due := house.row(redemption_id).next_time) is not None and due <= until:
        waits.append(due - house.books.now)
        house.books.now = due
        begun(house, redemption_id)
    return waits


def test_the_provider_is_asked_less_and_less_often(house: House) -> None:
    made = house.redeem()
    begun(house, made)
    start = house.books.now
    waits = looks(house, made, until=start + timedelta(days=1))
    assert waits[:4] == [timedelta(seconds=30 * times) for times in (1, 1, 2, 4)]
    assert waits == sorted(waits)
    assert waits[-1] == LOOK_MAX
    assert len(waits) < 40


def test_what_is_paid_is_looked_up_to_the_end_of_the_window(house: House) -> None:
    made = house.redeem()
    house.record(begun(house, made).step(PAYOUT_RESULT_PAID))
    paid = house.books.now
    waits = looks(house, made, until=paid + timedelta(days=365))
    assert waits[:4] == [timedelta(hours=times) for times in (1, 1, 2, 4)]
    assert max(waits) == timedelta(days=1)
    assert paid + sum(waits, timedelta()) == paid + RETURN_WINDOW
    assert house.row(made).next_time is None
