"""The parties of a payout in memory: the real rules on real books, and a provider."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_FROZEN,
    CancelRedemptionRequest,
)
from giftpay.v1 import Catalog as CatalogMessage
from giftpay_server.catalog.rules import Catalog
from giftpay_server.ledger.model import (
    Account,
    Books,
    Command,
    Draft,
    HoldState,
    MoneyMovement,
    Outcome,
    Owner,
)
from giftpay_server.ledger.rules import decide
from giftpay_server.redemption.messages import (
    begin_command,
    cancel_command,
    create_command,
    record_result_command,
)
from giftpay_server.redemption.rules import RedemptionRow
from giftpay_server.redemption.steps import CallPermission, has_expired
from giftpay_server.redemption.store import Due
from giftpay_server.slices import REGISTRY
from giftpay_server.stored.v1.payout_pb2 import (
    PAYOUT_RESULT_DECLINED,
    PAYOUT_RESULT_DIFFERS,
    PAYOUT_RESULT_LOST,
    PAYOUT_RESULT_NOT_FOUND,
    PAYOUT_RESULT_PAID,
    PAYOUT_RESULT_PENDING,
    PAYOUT_RESULT_REJECTED,
    PAYOUT_RESULT_RETURNED,
    PayoutResult,
    PayoutStep,
)
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call as Caller

from tests.redemption.conftest import CATALOG, redemption

EARNED = 10_000
WINDOW = timedelta(days=30)

Result: TypeAlias = "PayoutResult.ValueType"


@dataclass(frozen=True)
class Call:
    """The permission to call the provider once."""

    redemption_id: str
    number: int
    permission: CallPermission
    begin_time: datetime

    def step(self, result: Result) -> PayoutStep:
        return PayoutStep(redemption_id=self.redemption_id, call=self.number, result=result)


@dataclass
class Provider:
    """Pays once under a key for as long as it remembers that; rejects what it cannot read.

    Some keys it knows with other contents, from before the books were restored from a backup.
    """

    states: dict[str, Result] = field(default_factory=dict)
    payouts: Counter[str] = field(default_factory=Counter)
    unreadable: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    _known_since: dict[str, datetime] = field(default_factory=dict)

    def take(self, key: str, outcome: Result, now: datetime) -> Result:
        """An order arrives; `outcome` is what becomes of it, if it is new."""
        if key in self.unreadable:
            return PAYOUT_RESULT_REJECTED
        if key in self.others:
            return PAYOUT_RESULT_DIFFERS
        if key not in self.states or now >= self._known_since[key] + WINDOW:
            self.states[key] = outcome
            self.payouts[key] += 1
            self._known_since[key] = now
        return self.states[key]

    def find(self, key: str) -> Result | None:
        """What it knows of the payout; None: nothing."""
        return PAYOUT_RESULT_DIFFERS if key in self.others else self.states.get(key)

    def decide(self, key: str, outcome: Result) -> None:
        """What was pending is decided; what was paid may come back."""
        ends: dict[Result, tuple[Result, ...]] = {
            PAYOUT_RESULT_PENDING: (
                PAYOUT_RESULT_PAID,
                PAYOUT_RESULT_DECLINED,
                PAYOUT_RESULT_RETURNED,
            ),
            PAYOUT_RESULT_PAID: (PAYOUT_RESULT_RETURNED,),
        }
        if outcome in ends.get(self.states[key], ()):
            self.states[key] = outcome


class House:
    """One creator's books, decided by the real rules."""

    def __init__(self) -> None:
        catalog = CatalogMessage()
        catalog.CopyFrom(CATALOG)
        catalog.version = 1
        now = datetime(2026, 11, 1, tzinfo=UTC)
        self.books = Books(now=now, catalog=Catalog.of(catalog))
        adult_from = date(2020, 1, 1)
        self.mia = Owner("mia", WALLET_STATUS_ACTIVE, "DE", adult_from, create_time=now)
        self.diamonds = Account("mia", UNIT_DIAMOND, balance=EARNED)
        self.books.owners["mia"] = self.mia
        self.books.accounts["mia", UNIT_COIN] = Account("mia", UNIT_COIN)
        self.books.accounts["mia", UNIT_DIAMOND] = self.diamonds
        self.captured: Counter[str] = Counter()  # holds, by how often
        self.released: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._recorded: set[tuple[str, int]] = set()

    @property
    def rows(self) -> list[RedemptionRow]:
        return [row for row in self.books.rows.values() if isinstance(row, RedemptionRow)]

    @property
    def money(self) -> int:
        """What moved at the provider by our books, in minor units."""
        return sum(movement.minor_units for movement in self._movements)

    @property
    def paid(self) -> Counter[str]:
        """What was ever paid, by how often."""
        return Counter(each.subject_id for each in self._movements if each.minor_units < 0)

    @property
    def is_frozen(self) -> bool:
        return self.mia.status == WALLET_STATUS_FROZEN

    @property
    def _movements(self) -> list[MoneyMovement]:
        return [row for row in self.books.rows.values() if isinstance(row, MoneyMovement)]

    def row(self, redemption_id: str) -> RedemptionRow:
        row = self.books.row(RedemptionRow, redemption_id)
        assert row is not None
        return row

    def redeem(self) -> str:
        request = redemption("mia", idempotency_key=self._new_key())
        return self._record(create_command(ask(request, Caller("shop")))).transaction.id

    def cancel(self, redemption_id: str) -> bool:
        request = CancelRedemptionRequest(
            idempotency_key=self._new_key(), redemption_id=redemption_id
        )
        command = cancel_command(ask(request, Caller("shop")), self.row(redemption_id))
        outcome = self._record(command)
        return not outcome.transaction.reason

    def erase(self) -> None:
        for row in self.rows:
            self.books.rows[RedemptionRow, row.key] = replace(row, generation=-1)

    def begin(self, redemption_id: str, *, number: int) -> Call | None:
        """The permission to make this call, if there is one and nobody else has it."""
        begun = self._record(
            begin_command(Due(redemption_id, "mia", number, self.books.now), WINDOW)
        )
        permission = (
            CallPermission(begun.transaction.answer.decode())
            if not begun.transaction.reason
            else None
        )
        if begun.replayed or not permission:
            return None
        return Call(redemption_id, number, permission, self.books.now)

    def record(self, step: PayoutStep) -> None:
        """The first result of a call; the worker that made it waits for no other."""
        if (step.redemption_id, step.call) not in self._recorded:
            self._recorded.add((step.redemption_id, step.call))
            self._record(record_result_command(step, owner_id="mia", provider="MODEL"))

    def _new_key(self) -> str:
        return str(uuid.UUID(int=next(self._numbers)))  # the same whenever a history is replayed

    def _record(self, command: Command) -> Outcome:
        draft = Draft()
        (answer,) = decide([command], self.books, draft, REGISTRY.movements)
        assert isinstance(answer, Outcome)
        for hold in draft.holds.values():
            self.captured[hold.hold_id] += hold.state is HoldState.CAPTURED
            self.released[hold.hold_id] += hold.state is HoldState.RELEASED
        return answer


def make_call(house: House, provider: Provider, call: Call) -> Call | PayoutStep | None:
    """What a worker does with its permission: an order on its way, or the result of a look-up."""
    if has_expired(call.begin_time, house.books.now):
        return None
    if call.permission is CallPermission.SEND:
        return call
    if (found := provider.find(call.redemption_id)) is not None:
        return call.step(found)
    if call.permission is CallPermission.LAST_LOOK:
        return call.step(PAYOUT_RESULT_NOT_FOUND)
    return call if call.permission is CallPermission.LOOK_OR_SEND else None


def answer(provider: Provider, call: Call, result: Result) -> PayoutStep:
    """What a worker makes of the answer to an order: what is refused at first it looks up."""
    if result != PAYOUT_RESULT_REJECTED:
        return call.step(result)
    if call.permission is CallPermission.SEND:
        return call.step(provider.find(call.redemption_id) or result)
    return call.step(PAYOUT_RESULT_LOST)
