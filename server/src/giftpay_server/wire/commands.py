"""Turns a request into a command, and carries it out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack

from giftpay.v1 import TransactionKind, options_pb2
from giftpay.v1.options_pb2 import FORM_KEY
from giftpay.v1.options_pb2 import Personal as PersonalOption
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import (
    AccountKey,
    Books,
    Command,
    Decision,
    Outcome,
    PersonalField,
    Refused,
    RowKey,
)
from giftpay_server.ledger.replay import personal_hash
from giftpay_server.wire.bounds import BOUNDS, PREVIEW
from giftpay_server.wire.identity import Call
from giftpay_server.wire.keys import transaction_id
from giftpay_server.wire.refusals import settle

PERSONAL = options_pb2.personal

Request = TypeVar("Request", bound=Message)
Kind: TypeAlias = "TransactionKind.ValueType"


class Options(TypedDict, total=False):
    """Optional fields of a command."""

    claims: Sequence[str]
    reads: Sequence[RowKey]
    opens: bool
    alone: bool
    moves_only: bool


@dataclass(slots=True)
class Asked(Generic[Request]):
    """A well-formed request with its transaction id and caller."""

    key: str  # the id of the transaction; empty in a preview, which has none
    caller: str
    request: Request  # as it is stored: without its key, with a hash in place of what is personal
    personal: PersonalField | None

    def command(
        self,
        kind: Kind,
        accounts: Sequence[AccountKey],
        decide: Callable[[Books], Decision],
        **options: Unpack[Options],
    ) -> Command:
        """The command; see there what its fields mean."""
        return Command(
            id=self.key,
            caller=self.caller,
            kind=kind,
            request=self.request,
            accounts=accounts,
            decide=decide,
            personal=self.personal,
            **options,
        )

    def refused(self, kind: Kind, refusal: Refused) -> Command:
        """A command that is always refused with this (the refusal is pinned)."""
        return self.command(kind, (), lambda _: refusal)


def ask(request: Request, call: Call) -> Asked[Request]:
    """Parses a well-formed request, of which it makes a copy."""
    copied = type(request)()
    copied.CopyFrom(request)
    return ask_in_place(copied, call)


def ask_in_place(request: Request, call: Call) -> Asked[Request]:
    """Like `ask`, without a copy: the request is changed to what is stored."""
    shape = _shape(request.DESCRIPTOR)
    # What this server does not know it cannot check, bound or erase.
    request.DiscardUnknownFields()  # type: ignore[attr-defined]  # the stubs lack it
    if shape.has_previews and getattr(request, PREVIEW):
        request.ClearField(PREVIEW)
        key = ""
    else:
        key = transaction_id(getattr(request, shape.key), caller=call.caller)
    request.ClearField(shape.key)
    return Asked(key, call.caller, request, _hide_personal(request, shape))


async def carry_out(journal: Journal, command: Command) -> Outcome:
    """Records a command, or previews one without a key; raises RefusedError if it is refused."""
    decide = journal.record if command.id else journal.preview
    return settle(await decide(command))


class _Shape(NamedTuple):
    """Which fields of a request are its command's alone."""

    key: str
    has_previews: bool
    personal: tuple[str, PersonalOption] | None


@cache
def _shape(kind: Descriptor) -> _Shape:
    options = [(field.name, field.GetOptions()) for field in kind.fields]
    (key,) = (name for name, each in options if each.Extensions[BOUNDS].form == FORM_KEY)
    personal = [
        (name, each.Extensions[PERSONAL]) for name, each in options if each.HasExtension(PERSONAL)
    ]
    if len(personal) > 1 or any(each.owner not in kind.fields_by_name for _, each in personal):
        raise TypeError(f"{kind.full_name}: one personal field at most, of an owner that it names")
    return _Shape(key, PREVIEW in kind.fields_by_name, personal[0] if personal else None)


def _hide_personal(request: Message, shape: _Shape) -> PersonalField | None:
    """Puts a salted hash in the place of the personal field, unless that is empty."""
    if shape.personal is None:
        return None
    name, option = shape.personal
    value = getattr(request, name)
    if not value:
        return None
    salt, owner_id = os.urandom(16), getattr(request, option.owner)
    personal = PersonalField(owner_id, name, value, salt, shown=not option.hidden)
    setattr(request, name, personal_hash(personal, salt))
    return personal
