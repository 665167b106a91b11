"""The ledger's model: what commands ask, and what a batch of them reads and changes in memory."""

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
BALANCE_LIMIT = 10**15  # an account; the gates refuse what would pass it
BALANCE_MAX = 10**18  # an account, with what providers did booked past the limit

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
        """Of an entry that is decided now: never before the account's last one."""
        return max(now, self.entry_time)

    @property
    def minted(self) -> int:
        """Where the odometer's next credit begins."""
        return self.balance + self.spent + self.taken


@dataclass(slots=True)
class Owner:
    """Who holds a wallet, and what slices gate on."""

    owner_id: str
    status: WalletStatus.ValueType
    country: str
    adult_from: date | None  # None: age unverified
    create_time: datetime
    erasures: int = 0  # of its personal data so far: the generation of what is written next


class LotKind(IntEnum):
    """What a lot's coins came from."""

    PAID = 1
    BONUS = 2
    REVERSAL = 3
    ADJUSTMENT = 4


class Grant(NamedTuple):
    """What a credit's new lot is to say of itself."""

    kind: LotKind
    source_id: str  # the order, the reversed gift or the adjustment
    price: int | None = None  # minor units
    currency: str | None = None


class Positions(NamedTuple):
    """Coins [first, first + size) of an account, numbered as they came."""

    first: int
    size: int

    @property
    def end(self) -> int:
        return self.first + self.size


class Leg(NamedTuple):
    """One movement that a decision asks for: signed, against a system account."""

    owner_id: str
    unit: Unit.ValueType
    amount: int
    system: SystemAccount.ValueType
    grant: Grant | None = None
    overdraw: bool = False  # a claw-back: may pass below zero
    withdraws: Sequence[Positions] = ()  # in place of the oldest coins: a withdrawal


class Entry(NamedTuple):
    """A leg as it was booked."""

    owner_id: str
    unit: int
    seq: int
    transaction_id: str
    system: int
    amount: int
    balance: int  # after it


class Lot(NamedTuple):
    """Positions [first, first + size) of an account's odometer."""

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
    """Where a hold stands."""

    OPEN = 1
    CAPTURED = 2
    RELEASED = 3


@dataclass(slots=True, frozen=True)
class Hold:
    """An amount reserved and not yet moved; captured whole or released whole."""

    owner_id: str
    hold_id: str
    unit: Unit.ValueType
    amount: int
    state: HoldState
    create_time: datetime
    end_time: datetime | None = None


class Row(Protocol):
    """A slice's row; lies with one owner and changes only with that owner's accounts."""

    @property
    def key(self) -> Hashable: ...


class OpenItems(Row, Protocol):
    """How many items of one sort an owner has that keep its wallet open; the owner is its key."""

    @property
    def open(self) -> int: ...


R = TypeVar("R", bound=Row)
RowKey = tuple[type[Row], Hashable]


class MoneyMovement(NamedTuple):
    """Real money at a provider, in minor units: negative was paid out."""

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


class Personal(NamedTuple):
    """A field of a request that may identify a person: stored apart, hashed in the request."""

    owner_id: str
    field: str
    value: str
    salt: bytes  # 16 random bytes
    shown: bool = True  # whether the value is kept to be shown, or only compared
    generation: int = 0  # how often the owner's data had been erased before


class Transaction(NamedTuple):
    """What one command decided, for ever."""

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
    """Everything the commands of a batch may look at."""

    now: datetime = EPOCH
    # The current catalog; the kernel only asks it for its version and etag (0: none was applied).
    catalog: Any = None
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)  # id -> transaction_id
    rows: dict[RowKey, Row] = field(default_factory=dict)

    def row(self, kind: type[R], key: Hashable) -> R | None:
        """The slice's row, if there is one; only rows that the command's `reads` named are here."""
        return cast("R | None", self.rows.get((kind, key)))

    def take_in(self, read: Books) -> None:
        """Adds accounts, with their owners, as they were read later; and the catalog."""
        for owner_id, _ in read.accounts:
            self.owners.pop(owner_id, None)  # one whose opening was never written is not read
        self.accounts.update(read.accounts)
        self.owners.update(read.owners)
        self.catalog = read.catalog

    def part(self, keys: Collection[AccountKey]) -> Books:
        """These accounts with their owners, and the catalog."""
        owners = {
            owner_id: self.owners[owner_id] for owner_id, _ in keys if owner_id in self.owners
        }
        accounts = {key: self.accounts[key] for key in keys if key in self.accounts}
        return Books(catalog=self.catalog, accounts=accounts, owners=owners)

    @property
    def catalog_version(self) -> int:
        """Of the catalog; 0 before any was applied."""
        return self.catalog.version if self.catalog is not None else 0

    @property
    def catalog_etag(self) -> int:
        """What tells the catalog from any other; 0 before any was applied."""
        return self.catalog.etag if self.catalog is not None else 0


@dataclass(slots=True)
class Draft:
    """Everything one batch writes, in the order it was decided."""

    transactions: list[Transaction] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    late_entries: dict[int, datetime] = field(default_factory=dict)  # their times, if not `now`
    # Moved or not: all that was decided on, so that its version tells the next batch.
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    # What the system accounts gained, and in how many entries.
    systems: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    claims: dict[str, str] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    rows: dict[RowKey, Row] = field(default_factory=dict)
    personal: list[tuple[str, Personal]] = field(default_factory=list)  # by transaction_id

    @property
    def has_extras(self) -> bool:
        """Whether there is more to write than transactions, entries and balances."""
        written = (self.lots, self.withdrawals, self.claims, self.owners, self.holds, self.rows)
        return any((*written, self.personal))


class Refused(NamedTuple):
    """A correct no, with the figures that its reason documents."""

    reason: ErrorReason.ValueType
    figures: Mapping[str, str] = {}

    def stored(self) -> bytes:
        """The refusal as it is stored; its sentence is made when it is told."""
        return Refusal(reason=self.reason, metadata=self.figures).SerializeToString()


def refuse(reason: ErrorReason.ValueType, **figures: str | int) -> Refused:
    """A no with its figures."""
    return Refused(reason, {name: str(value) for name, value in figures.items()})


@dataclass(slots=True)
class Posted:
    """A yes: what moves, which rows it leaves, and what the caller is told."""

    legs: Sequence[Leg] = ()
    # The resource as the command made it (what the response wraps, or it), or what of it neither
    # the request nor the other columns of the transaction say; empty if it is read anew.
    answer: bytes = b""
    holds: Sequence[Hold] = ()  # placed (OPEN), or ended
    owners: Sequence[Owner] = ()  # opened or changed
    rows: Sequence[Row] = ()  # new or changed rows of slices
    catalog: Any = None  # a new current catalog


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not decided now: nothing is stored, the key stays free, and the neighbours go on.

    For the server's own commands alone, such as a step of a large return whose predecessor is not
    booked yet: a refusal would be the answer to its key from then on.
    """

    why: str  # for the log of whoever asked


Decision = Posted | Refused


@dataclass(slots=True, kw_only=True)
class Command:
    """One thing to decide, named for ever by its id.

    `decide` is pure and sees the books as the commands before it left them; should anybody else
    change the accounts named before it is written, it is asked again. An owner without a wallet is
    refused before `decide`, unless the command opens it.
    """

    id: str  # a canonical UUID
    caller: str
    kind: TransactionKind.ValueType
    request: Message  # as it is stored: without its key, with a hash in place of what is personal
    accounts: Sequence[AccountKey]
    decide: Callable[[Books], Decision | Deferred]
    claims: Sequence[str] = ()  # taken if it is posted; one that stands moves nothing again
    reads: Sequence[RowKey] = ()
    personal: Personal | None = None
    opens: bool = False
    may_defer: bool = False  # a command of the server's own
    alone: bool = False  # no batch with others: it counts rows that they may be about to change
    moves_only: bool = False  # changes no row but its accounts': no other can be held up by others

    @property
    def weight(self) -> int:
        """How much it adds to a batch: what is read and written for it."""
        return len(self.accounts) + len(self.reads) + len(self.claims)


class Outcome(NamedTuple):
    """What stands under the command's key."""

    transaction: Transaction
    replayed: bool = False


class KeyReused(NamedTuple):
    """The key was used for another request; `fields` is empty if it is another caller's."""

    fields: Sequence[str]


Answer = Outcome | KeyReused | Deferred


def wallet(owner_id: str) -> tuple[AccountKey, AccountKey]:
    """Both accounts of an owner: what a command names to change the owner or its slices' rows."""
    return (owner_id, UNIT_COIN), (owner_id, UNIT_DIAMOND)
