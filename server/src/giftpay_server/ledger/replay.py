"""Idempotent replay: compares a repeated request with the stored one, and reads its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

from giftpay.v1 import TransactionKind
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from giftpay_server.ledger.model import Command, PersonalField, Transaction

Resource = TypeVar("Resource", bound=Message)


def read_answer(transaction: Transaction, *, into: Resource) -> Resource:
    """The resource that a posted command made, read back from its answer."""
    into.MergeFromString(transaction.answer)
    return into


def personal_value(command: Command, transaction: Transaction) -> str:
    """The request's personal text, for its answer; empty if it was erased since."""
    if command.personal is None or not transaction.salt:
        return ""
    return command.personal.value


def differing_fields(command: Command, earlier: Transaction) -> Sequence[str]:
    """The names of the fields in which a command differs from the first one under its key."""
    if command.kind != earlier.kind:
        return (f"kind ({TransactionKind.Name(earlier.kind)})",)
    asked, stored = type(command.request)(), type(command.request).FromString(earlier.request)
    asked.CopyFrom(command.request)
    if command.personal is not None:
        _hash_personal(asked, stored, personal=command.personal, salt=earlier.salt)
    fields = asked.DESCRIPTOR.fields
    return [field.name for field in fields if _value(asked, field) != _value(stored, field)]


def _hash_personal(
    asked: Message, stored: Message, *, personal: PersonalField, salt: bytes
) -> None:
    earlier = getattr(stored, personal.field)
    if earlier and not salt:  # erased: nothing is left to compare with
        setattr(asked, personal.field, earlier)
    else:
        setattr(asked, personal.field, personal_hash(personal, salt))


def personal_hash(personal: PersonalField, salt: bytes) -> str:
    """The keyed hash that replaces a personal field in the stored request."""
    text = f"{personal.field}={personal.value}"
    return hashlib.blake2b(text.encode(), key=salt, digest_size=16).hexdigest()


def _value(message: Message, field: FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    return (message.HasField(field.name), value) if field.has_presence else value
