"""The ledger's model: commands, and the books that a batch reads and changes in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    ErrorReason,
    Refusal,
    SystemAccount,
    TransactionKind,
    Unit,
    WalletStatus,
)
from google.protobuf.message import Message

AMOUNT_LIMIT = 10**12  # a movement
BALANCE_LIMIT = 10**15  # an account; the gates refuse a credit beyond it
BALANCE_MAX = 10**18  # an account; what providers did is booked beyond the limit, up to this

EPOCH = datetime.fromtimestamp(0, UTC)

AccountKey = tuple[str, "Unit.ValueType"]  # owner_id, unit


@dataclass(slots=True)
class Account:
    """One owner in one unit; all amounts in whole units."""

    owner_id: str
    unit: Unit.ValueType
    balance: int = 0
    held: int = 0
    seq: int = 0
    spent: int = 0
    floor: int = 0
    taken: int = 0
    entry_time: datetime = field(default=EPOCH, compare=False)  # none earlier may follow
    version: int = field(default=0, compare=False)  # of its row, as it was read or written

    @property
    def available(self) -> int:
        return self.balance - self.held

    def next_time(self, now: datetime) -> datetime:
        """The time of an entry that is decided now: never before the account's last one."""
        return max(now, self.entry_time)

    @property
    def minted(self) -> int:
        """How many coins were ever minted: the first position of the next credit."""
        return self.balance + self.spent + self.taken


@dataclass(slots=True)
class Owner:
    """The owner of a wallet, with the facts that gates check."""

    owner_id: str
    status: WalletStatus.ValueType
    country: str
    adult_from: date | None  # None: age unverified
    create_time: datetime
    erasures: int = 0  # of its personal data so far; also the generation of what is written next


class LotKind(IntEnum):
    """The source of a lot's coins."""

    PAID = 1
    BONUS = 2
    REVERSAL = 3
    ADJUSTMENT = 4


class Grant(NamedTuple):
    """The source and the price of the lot that a credit mints."""

    kind: LotKind
    source_id: str  # the order, the reversed gift or the adjustment
    price: int | None = None  # minor units
    currency: str | None = None


class Positions(NamedTuple):
    """Coins [first, first + size) of an account's odometer."""

    first: int
    size: int

    @property
    def end(self) -> int:
        return self.first + self.size


class Leg(NamedTuple):
    """One posting that a decision asks for: a signed amount against a system account."""

    owner_id: str
    unit: Unit.ValueType
    amount: int
    system: SystemAccount.ValueType
    grant: Grant | None = None
    overdraw: bool = False  # a claw-back: the balance may become negative
    withdraws: Sequence[Positions] = ()  # a withdrawal: these coins instead of the oldest


class Entry(NamedTuple):
    """A posting: a leg as it was booked."""

    owner_id: str
    unit: int
    seq: int
    transaction_id: str
    system: int
    amount: int
    balance: int  # after it


class Lot(NamedTuple):
    """The coins of one credit: positions [first, first + size) of an account's odometer."""

    owner_id: str
    unit: int
    seq: int  # of the entry that minted it
    first: int
    size: int
    grant: Grant

    @property
    def end(self) -> int:
        return self.first + self.size


class Withdrawal(NamedTuple):
    """Positions [first, first + size) of an account's odometer that one entry withdrew."""

    owner_id: str
    unit: int
    seq: int  # of the entry
    first: int
    size: int


class HoldState(IntEnum):
    """The state of a hold."""

    OPEN = 1
    CAPTURED = 2
    RELEASED = 3


@dataclass(slots=True, frozen=True)
class Hold:
    """An authorization hold: an amount reserved, later captured whole or released whole."""

    owner_id: str
    hold_id: str
    unit: Unit.ValueType
    amount: int
    state: HoldState
    create_time: datetime
    end_time: datetime | None = None


class Row(Protocol):
    """A slice's row: it belongs to one owner and changes only together with its accounts."""

    @property
    def key(self) -> Hashable: ...


class OpenItems(Row, Protocol):
    """How many open items of one kind keep an owner's wallet from being closed; keyed by owner."""

    @property
    def open(self) -> int: ...


R = TypeVar("R", bound=Row)
RowKey = tuple[type[Row], Hashable]


class MoneyMovement(NamedTuple):
    """Real money that a provider received, or paid out (negative), in minor units."""

    transaction_id: str
    subject_id: str  # the top-up or redemption
    provider: str
    reference: str
    currency: str
    minor_units: int
    create_time: datetime

    @property
    def key(self) -> str:
        return self.transaction_id


class PersonalField(NamedTuple):
    """A field of a request that may identify a person: stored apart, hashed in the request."""

    owner_id: str
    field: str
    value: str
    salt: bytes  # 16 random bytes
    shown: bool = True  # whether the value is kept to be shown, or only compared
    generation: int = 0  # how often the owner's data had been erased before


class Transaction(NamedTuple):
    """The stored outcome of one command, under its idempotency key; it never changes."""

    id: str
    caller: str
    kind: TransactionKind.ValueType
    request: bytes
    reason: int  # giftpay.v1.ErrorReason; 0: posted
    answer: bytes
    catalog_version: int
    entries: str  # 'anna/1/17 ben/2/4'
    create_time: datetime
    salt: bytes = b""  # of its personal field; empty: there is none, or it was erased
    generation: int = 0  # of that field


@dataclass(slots=True)
class Books:
    """The state that the commands of a batch read, and change as they are decided."""

    now: datetime = EPOCH
    # The current catalog; the kernel uses only its version and etag (0: none was applied).
    catalog: Any = None
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)  # id -> transaction_id
    rows: dict[RowKey, Row] = field(default_factory=dict)

    def row(self, kind: type[R], key: Hashable) -> R | None:
        """The slice's row, or None; only rows named by a command's `reads` were loaded."""
        return cast("R | None", self.rows.get((kind, key)))

    def merge(self, read: Books) -> None:
        """Adds accounts and owners that were read later, and replaces the catalog."""
        for owner_id, _ in read.accounts:
            self.owners.pop(owner_id, None)  # remove an owner whose opening was never written
        self.accounts.update(read.accounts)
        self.owners.update(read.owners)
        self.catalog = read.catalog

    def subset(self, keys: Collection[AccountKey]) -> Books:
        """These accounts with their owners, and the catalog."""
        owners = {
            owner_id: self.owners[owner_id] for owner_id, _ in keys if owner_id in self.owners
        }
        accounts = {key: self.accounts[key] for key in keys if key in self.accounts}
        return Books(catalog=self.catalog, accounts=accounts, owners=owners)

    @property
    def catalog_version(self) -> int:
        """The version of the catalog; 0 before any was applied."""
        return self.catalog.version if self.catalog is not None else 0

    @property
    def catalog_etag(self) -> int:
        """A random number that identifies the catalog's contents; 0 before any was applied."""
        return self.catalog.etag if self.catalog is not None else 0


@dataclass(slots=True)
class Draft:
    """The write set of one batch, in the order it was decided."""

    transactions: list[Transaction] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    late_entries: dict[int, datetime] = field(default_factory=dict)  # their times, if not `now`
    # All that were decided on, moved or not: a new version invalidates decisions on the old one.
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    # By system account and unit: the amount gained and the number of entries.
    systems: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    claims: dict[str, str] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    rows: dict[RowKey, Row] = field(default_factory=dict)
    personal: list[tuple[str, PersonalField]] = field(default_factory=list)  # by transaction_id

    @property
    def has_extras(self) -> bool:
        """Whether there is more to write than transactions, entries and balances."""
        written = (self.lots, self.withdrawals, self.claims, self.owners, self.holds, self.rows)
        return any((*written, self.personal))


class Refused(NamedTuple):
    """A refusal: a decision and not an error, with the figures that its reason documents."""

    reason: ErrorReason.ValueType
    figures: Mapping[str, str] = {}

    def stored(self) -> bytes:
        """The refusal as it is stored, without its sentence, which is rendered for each answer."""
        return Refusal(reason=self.reason, metadata=self.figures).SerializeToString()


def refuse(reason: ErrorReason.ValueType, **figures: str | int) -> Refused:
    """A refusal with its figures."""
    return Refused(reason, {name: str(value) for name, value in figures.items()})


@dataclass(slots=True)
class Posted:
    """An acceptance: the movements, the rows to write, and the answer to the caller."""

    legs: Sequence[Leg] = ()
    # The resource or the response as the command made it, at most without what the request and the
    # other columns of the transaction hold; empty if it is read again for each answer.
    answer: bytes = b""
    holds: Sequence[Hold] = ()  # placed (OPEN), or ended
    owners: Sequence[Owner] = ()  # opened or changed
    rows: Sequence[Row] = ()  # new or changed rows of slices
    catalog: Any = None  # a new current catalog


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not decided now: nothing is stored, the key stays unused, the rest of the batch goes on.

    Only for the server's own commands, such as a step of a large refund whose predecessor is not
    booked yet: a refusal would be pinned to its key.
    """

    why: str  # for the log


Decision = Posted | Refused


@dataclass(slots=True, kw_only=True)
class Command:
    """One request to decide; its id is its idempotency key, which never expires.

    `decide` is pure and sees the books as the commands before it left them. It is called again if
    one of the accounts changes before the batch is written. An owner without a wallet is refused
    before `decide`, unless the command opens one.
    """

    id: str  # a canonical UUID
    caller: str
    kind: TransactionKind.ValueType
    request: Message  # as it is stored: without its key, with a hash in place of what is personal
    accounts: Sequence[AccountKey]
    decide: Callable[[Books], Decision | Deferred]
    claims: Sequence[str] = ()  # taken if it is posted; a command under a taken one moves nothing
    reads: Sequence[RowKey] = ()
    personal: PersonalField | None = None
    opens: bool = False
    may_defer: bool = False  # a command of the server's own
    alone: bool = False  # never batched: it counts rows that other commands may change
    moves_only: bool = False  # writes no row except its accounts', so that only they can block it

    @property
    def weight(self) -> int:
        """Its share of a batch's bound: the number of rows read and written for it."""
        return len(self.accounts) + len(self.reads) + len(self.claims)


class Outcome(NamedTuple):
    """The transaction stored under the command's key, new or replayed."""

    transaction: Transaction
    replayed: bool = False


class KeyReused(NamedTuple):
    """The key was used for another request; `fields` is empty if it is another caller's."""

    fields: Sequence[str]


Answer = Outcome | KeyReused | Deferred


def wallet(owner_id: str) -> tuple[AccountKey, AccountKey]:
    """Both accounts of an owner; a command that changes the owner or its companions names both."""
    return (owner_id, UNIT_COIN), (owner_id, UNIT_DIAMOND)
