"""Decides a batch of commands: in memory and in series, each seeing those before it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import ERROR_REASON_WALLET_NOT_FOUND, UNIT_COIN

from giftpay_server.ledger.lots import Withdrawn
from giftpay_server.ledger.model import (
    AMOUNT_LIMIT,
    BALANCE_MAX,
    Account,
    Answer,
    Books,
    Command,
    Decision,
    Deferred,
    Draft,
    Entry,
    Hold,
    HoldState,
    KeyReused,
    Leg,
    Lot,
    Outcome,
    PersonalField,
    Posted,
    Refused,
    Transaction,
    Withdrawal,
    refuse,
)
from giftpay_server.ledger.movements import Movements, Registered
from giftpay_server.ledger.replay import differing_fields


class BrokenRuleError(Exception):
    """A slice decided something that the books forbid: a defect of the server."""


def decide(
    commands: Sequence[Command], books: Books, draft: Draft, movements: Movements
) -> list[Answer]:
    """Decides each command in turn, changing the books and writing the draft.

    Raises BrokenRuleError if a command moves anything that `movements` does not allow its kind.
    """
    return [_decide_one(command, books, draft, movements) for command in commands]


def _decide_one(command: Command, books: Books, draft: Draft, movements: Movements) -> Answer:
    earlier = books.transactions.get(command.id)
    if earlier is not None:
        return replay(command, _without_erased_salt(earlier, command, books))
    decision = _gate(command, books)
    if isinstance(decision, Deferred):
        if not command.may_defer:
            raise BrokenRuleError(f"{command.id} is a caller's command, and must not be deferred")
        return decision
    for key in command.accounts:
        if key in books.accounts:
            draft.accounts[key] = books.accounts[key]
    personal = command.personal
    match decision:
        case Posted():
            registered = movements.get(command.kind, ())
            transaction = _post(command, decision, books, draft, registered)
        case Refused():
            transaction = _transaction(command, books, decision.reason, decision.stored())
            # Kept to compare retries with it, and never shown.
            personal = personal._replace(shown=False) if personal is not None else None
    books.transactions[command.id] = transaction
    draft.transactions.append(transaction)
    if personal is not None:
        kept = personal._replace(generation=transaction.generation)
        draft.personal.append((command.id, kept))
    return Outcome(transaction)


def _generation(personal: PersonalField | None, books: Books) -> int:
    owner = books.owners.get(personal.owner_id) if personal is not None else None
    return owner.erasures if owner is not None else 0


def _without_erased_salt(earlier: Transaction, command: Command, books: Books) -> Transaction:
    """The transaction under the key, without its salt if an erasure in this batch removed it."""
    erased = earlier.generation < _generation(command.personal, books)
    return earlier._replace(salt=b"") if erased else earlier


def replay(command: Command, earlier: Transaction) -> Answer:
    """The first answer, or KeyReused with the fields in which this request differs."""
    if command.caller != earlier.caller:
        return KeyReused(())
    fields = differing_fields(command, earlier)
    return KeyReused(fields) if fields else Outcome(earlier, replayed=True)


def _gate(command: Command, books: Books) -> Decision | Deferred:
    if not command.opens:
        for key in command.accounts:
            if key not in books.accounts or key[0] not in books.owners:
                return refuse(ERROR_REASON_WALLET_NOT_FOUND, owner_id=key[0])
    return command.decide(books)


def _post(
    command: Command, posted: Posted, books: Books, draft: Draft, registered: Registered
) -> Transaction:
    for hold in posted.holds:
        _apply_hold(hold, books, draft)
    entries = [_apply_leg(command, leg, books, draft, registered) for leg in posted.legs]
    for owner in posted.owners:
        books.owners[owner.owner_id] = draft.owners[owner.owner_id] = owner
    for row in posted.rows:
        books.rows[type(row), row.key] = draft.rows[type(row), row.key] = row
    _take_claims(command, posted, books, draft)
    if posted.catalog is not None:
        books.catalog = posted.catalog
    refs = " ".join([f"{entry.owner_id}/{entry.unit}/{entry.seq}" for entry in entries])
    return _transaction(command, books, 0, posted.answer, refs)


def _take_claims(command: Command, posted: Posted, books: Books, draft: Draft) -> None:
    for claim in command.claims:
        if claim not in books.claims:
            draft.claims[claim] = books.claims[claim] = command.id
        elif posted.legs:
            raise BrokenRuleError(f"the claim {claim} was taken by {books.claims[claim]}")


def _transaction(
    command: Command, books: Books, reason: int, answer: bytes, entries: str = ""
) -> Transaction:
    return Transaction(
        id=command.id,
        caller=command.caller,
        kind=command.kind,
        request=command.request.SerializeToString(),
        reason=reason,
        answer=answer,
        catalog_version=books.catalog_version,
        entries=entries,
        create_time=books.now,
        salt=command.personal.salt if command.personal is not None else b"",
        generation=_generation(command.personal, books),
    )


def _apply_leg(
    command: Command, leg: Leg, books: Books, draft: Draft, registered: Registered
) -> Entry:
    owner_id, unit, amount, system, grant, overdraw, withdraws = leg
    if (unit, system, amount > 0) not in registered:
        raise BrokenRuleError(f"{leg} is not registered for the kind {command.kind}")
    account = books.accounts[owner_id, unit]
    if grant is not None:
        draft.lots.append(Lot(owner_id, unit, account.seq + 1, account.minted, amount, grant))
    account.seq += 1
    account.balance += amount
    if withdraws:
        _withdraw(account, leg, books, draft)
    elif amount < 0:
        account.spent -= amount
    if overdraw or account.floor:
        _move_floor(account, leg)
    _assert_sound(account, amount)
    _apply_system(system, unit, amount, draft)
    entry = Entry(owner_id, unit, account.seq, command.id, system, amount, account.balance)
    if account.entry_time > books.now:  # another server's clock is slightly ahead of ours
        draft.late_entries[len(draft.entries)] = account.entry_time
    draft.entries.append(entry)
    return entry


def _withdraw(account: Account, leg: Leg, books: Books, draft: Draft) -> None:
    """Takes the positions that a leg names, all of them unspent coins."""
    account.taken -= leg.amount
    rows = [Withdrawal(leg.owner_id, leg.unit, account.seq, *run) for run in leg.withdraws]
    sizes = [row.size for row in rows]
    plain = leg.unit == UNIT_COIN and leg.grant is None and not leg.overdraw
    if not plain or min(sizes) <= 0 or sum(sizes) != -leg.amount:
        raise BrokenRuleError(f"{leg} withdraws {sum(sizes)}")
    withdrawn = books.row(Withdrawn, (leg.owner_id, leg.unit))
    if withdrawn is None:
        raise BrokenRuleError(f"{leg} withdraws, but its command does not read Withdrawn")
    books.rows[Withdrawn, withdrawn.key] = _withdrawn_once(account, withdrawn, rows)
    draft.withdrawals += rows


def _withdrawn_once(
    account: Account, withdrawn: Withdrawn, rows: Sequence[Withdrawal]
) -> Withdrawn:
    """The withdrawals with these rows; none may be spent, unminted or withdrawn before."""
    after = withdrawn.merged_with(rows)
    unspent = all(withdrawn.rank(row.first) >= account.spent for row in rows)
    minted = all(row.first + row.size <= account.minted for row in rows)
    if after is None or not (unspent and minted):
        raise BrokenRuleError(f"{account} after {rows}, where {withdrawn}")
    return after


def _move_floor(account: Account, leg: Leg) -> None:
    if leg.overdraw:
        account.floor = min(account.floor, account.available)
    elif account.floor < 0 < leg.amount:
        account.floor = min(0, account.available)


def _apply_system(system: int, unit: int, amount: int, draft: Draft) -> None:
    gained = draft.systems.get((system, unit))
    if gained is None:
        draft.systems[system, unit] = [-amount, 1]
    else:
        gained[0] -= amount
        gained[1] += 1


def _apply_hold(hold: Hold, books: Books, draft: Draft) -> None:
    account = books.accounts[hold.owner_id, hold.unit]
    account.held += hold.amount if hold.state is HoldState.OPEN else -hold.amount
    if hold.state is HoldState.RELEASED and account.floor:
        account.floor = min(0, account.available)
    draft.holds[hold.hold_id] = hold
    _assert_sound(account, hold.amount)


def _assert_sound(account: Account, amount: int) -> None:
    if not 0 < abs(amount) <= AMOUNT_LIMIT:
        raise BrokenRuleError(f"a movement of {amount} on {account}")
    balance, held = account.balance, account.held
    if balance > BALANCE_MAX or held < 0 or balance - held < account.floor:
        raise BrokenRuleError(f"{account} after a movement of {amount}")
