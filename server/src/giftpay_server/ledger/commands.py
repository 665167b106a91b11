"""What the journal is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, ErrorReason, Refusal, TransactionKind
from google.protobuf.message import Message

from giftpay_server.ledger.books import (
    AccountKey,
    Books,
    Hold,
    Leg,
    Owner,
    Personal,
    Row,
    RowKey,
    Transaction,
)


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
    request: Message  # without its key; personal fields empty
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
    """The key stands for another request; `fields` is empty if it is another caller's."""

    fields: Sequence[str]


Answer = Outcome | KeyReused | Deferred


def wallet(owner_id: str) -> tuple[AccountKey, AccountKey]:
    """Both accounts of an owner: what a command names to change the owner or its slices' rows."""
    return (owner_id, UNIT_COIN), (owner_id, UNIT_DIAMOND)
