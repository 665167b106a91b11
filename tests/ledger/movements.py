"""Commands other than gifts, each as plain as its kind of movement allows.

They are adjustments in the eyes of the audit, so that it may look at the books that they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import NamedTuple

from giftpay.v1 import (
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_INSUFFICIENT_DIAMONDS,
    ERROR_REASON_PAYMENT_REFERENCE_USED,
    ERROR_REASON_REDEMPTION_STATE,
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_ADJUSTMENT,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    SystemAccount,
    TransactionKind,
    Unit,
)
from giftpay_server.journal.store import Table, Tables
from giftpay_server.ledger.lots import Withdrawn
from giftpay_server.ledger.model import (
    Books,
    Command,
    Decision,
    Grant,
    Hold,
    HoldState,
    Leg,
    LotKind,
    Posted,
    refuse,
    wallet,
)
from giftpay_server.ledger.movements import Movements
from giftpay_server.postgres.pool import Connection

CLAW_BACK = "claw back"
CLAIM = "payment:"  # what a claim's id begins with
EVERY_MOVEMENT: Movements = {
    kind: frozenset(product(Unit.values(), SystemAccount.values(), (True, False)))
    for kind in TransactionKind.values()
}


class Held(NamedTuple):
    """A hold as a row that commands read; it lies with its owner, under the hold's own id."""

    owner_id: str
    hold: Hold

    @property
    def key(self) -> tuple[str, str]:
        return self.owner_id, self.hold.hold_id


READ_HOLDS = """
    SELECT owner_id, hold_id::text, unit, amount, state, create_time, end_time
      FROM hold
      JOIN unnest($1::text[], $2::uuid[]) AS wanted (owner_id, hold_id) USING (owner_id, hold_id)
"""


async def _read(connection: Connection, keys: Sequence[tuple[str, str]]) -> list[Held]:
    rows = await connection.fetch(READ_HOLDS, *zip(*keys, strict=True))
    holds = [Hold(**{**row, "state": HoldState(row["state"])}) for row in rows]
    return [Held(hold.owner_id, hold) for hold in holds]


async def _leave(_connection: Connection, _rows: Sequence[Held]) -> None:
    """The kernel itself saves holds."""


HOLDS: Tables = {Held: Table(load=_read, save=_leave)}


def adjust(key: str, owner_id: str, *, unit: Unit.ValueType, amount: int) -> Command:
    """A credit, or a spend of what is available."""
    request = _request(owner_id, unit, amount, reason="adjust")
    return _command(key, request, partial(_adjust, key, request))


def _adjust(key: str, request: AdjustBalanceRequest, books: Books) -> Decision:
    if books.accounts[request.owner_id, request.unit].available + request.amount < 0:
        return refuse(ERROR_REASON_INSUFFICIENT_COINS)
    return Posted(legs=(_leg(key, request),))


def claw_back(key: str, owner_id: str, *, unit: Unit.ValueType, amount: int) -> Command:
    """Takes an amount whether it is there or not."""
    request = _request(owner_id, unit, -amount, reason=CLAW_BACK)
    leg = _leg(key, request)._replace(overdraw=True)
    return _command(key, request, lambda _books: Posted(legs=(leg,)))


def withdraw(key: str, owner_id: str, *, skip: int, amount: int) -> Command:
    """Takes coins out that are available, and not the oldest but those after so many."""
    request = _request(owner_id, UNIT_COIN, -amount, reason=f"withdraw after {skip}")
    command = _command(key, request, partial(_withdraw, skip, request))
    return replace(command, reads=((Withdrawn, (owner_id, UNIT_COIN)),))


def _withdraw(skip: int, request: AdjustBalanceRequest, books: Books) -> Decision:
    account = books.accounts[request.owner_id, UNIT_COIN]
    if account.available + request.amount < skip:
        return refuse(ERROR_REASON_INSUFFICIENT_COINS)
    withdrawn = books.row(Withdrawn, (request.owner_id, UNIT_COIN))
    assert withdrawn is not None  # the command reads it
    positions = withdrawn.positions(account.spent + skip, -request.amount)
    return Posted(legs=(_leg("", request)._replace(withdraws=positions),))


def hold(key: str, owner_id: str, *, amount: int) -> Command:
    """Holds diamonds that are available."""
    request = _request(owner_id, UNIT_DIAMOND, amount, reason="hold")
    return _command(key, request, partial(_hold, key, request))


def _hold(key: str, request: AdjustBalanceRequest, books: Books) -> Decision:
    owner_id, amount = request.owner_id, request.amount
    if books.accounts[owner_id, UNIT_DIAMOND].available < amount:
        return refuse(ERROR_REASON_INSUFFICIENT_DIAMONDS)
    placed = Hold(owner_id, key, UNIT_DIAMOND, amount, HoldState.OPEN, books.now)
    return Posted(holds=(placed,), rows=(Held(owner_id, placed),))


def end_hold(key: str, owner_id: str, *, hold_id: str, state: HoldState) -> Command:
    """Captures or releases the owner's hold, if there is one and it is open."""
    request = _request(owner_id, UNIT_DIAMOND, 0, reason=f"{state.name} {hold_id}")
    command = _command(key, request, partial(_end_hold, owner_id, hold_id, state))
    return replace(command, reads=((Held, (owner_id, hold_id)),))


def _end_hold(owner_id: str, hold_id: str, state: HoldState, books: Books) -> Decision:
    found = books.row(Held, (owner_id, hold_id))
    if found is None or found.hold.state is not HoldState.OPEN:
        return refuse(ERROR_REASON_REDEMPTION_STATE)
    ended = replace(found.hold, state=state, end_time=books.now)
    leg = Leg(owner_id, UNIT_DIAMOND, -ended.amount, SYSTEM_ACCOUNT_ADJUSTMENT)
    legs = (leg,) if state is HoldState.CAPTURED else ()
    return Posted(legs=legs, holds=(ended,), rows=(Held(owner_id, ended),))


def claim(key: str, owner_id: str, *, amount: int, claim_id: str, again: bool) -> Command:
    """A credit under a claim. A taken one is refused, or with `again` moves nothing."""
    request = _request(owner_id, UNIT_COIN, amount, reason=claim_id)
    decide = partial(_claim, key, request, claim_id, again=again)
    return replace(_command(key, request, decide), claims=(claim_id,))


def _claim(
    key: str, request: AdjustBalanceRequest, claim_id: str, books: Books, *, again: bool
) -> Decision:
    if claim_id not in books.claims:
        return Posted(legs=(_leg(key, request),))
    return Posted() if again else refuse(ERROR_REASON_PAYMENT_REFERENCE_USED)


def _request(
    owner_id: str, unit: Unit.ValueType, amount: int, *, reason: str
) -> AdjustBalanceRequest:
    return AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason=reason)


def _leg(key: str, request: AdjustBalanceRequest) -> Leg:
    """What the request moves; coins that come are a lot of their own."""
    minted = request.unit == UNIT_COIN and request.amount > 0
    grant = Grant(LotKind.ADJUSTMENT, key) if minted else None
    return Leg(request.owner_id, request.unit, request.amount, SYSTEM_ACCOUNT_ADJUSTMENT, grant)


def _command(
    key: str, request: AdjustBalanceRequest, decide: Callable[[Books], Decision]
) -> Command:
    return Command(
        id=key,
        caller="test",
        kind=TRANSACTION_KIND_ADJUSTMENT,
        request=request,
        accounts=wallet(request.owner_id),
        decide=decide,
    )
