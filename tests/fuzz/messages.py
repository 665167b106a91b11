"""Messages by their descriptors: well-formed ones about things that exist, and hostile ones."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from giftpay.v1 import Catalog, options_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fuzz import tokens, values

DEPTH_MAX = 6
NOW = 1_760_000_000  # of Timestamps, about
LENGTHS = (0, 1, 2, 3, 5)  # of lists
MANY = 1_001  # items: more than any list may have


@dataclass(frozen=True, slots=True)
class World:
    """The ids that exist on the server, for requests."""

    owners: Sequence[str]
    transactions: Sequence[str]  # gifts, orders and redemptions: each is the id of its transaction
    gifts: Sequence[str]
    packages: Sequence[str]
    catalog: Catalog
    pages: Mapping[str, Sequence[tuple[bytes, str]]] = field(default_factory=dict)
    """By request type: requests for a first page, and the token of the second."""

    def tokens(self) -> list[str]:
        """All tokens of all lists."""
        return [token for pages in self.pages.values() for _, token in pages]


class Builder:
    """Draws requests from one source of chance."""

    def __init__(self, random: Random, world: World) -> None:
        self._random = random
        self._world = world

    def valid(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message that is mostly well-formed and names existing things."""
        message = GetMessageClass(kind)()
        for each in _chosen(self._random, kind):
            if self._random.random() < 0.85:
                self._fill(message, each, depth)
        return message

    def hostile(self, kind: Descriptor) -> Message:
        """A valid message with hostile values in one to three fields."""
        message = self.valid(kind)
        for _ in range(self._random.randint(1, 3)):
            self._spoil(message, 0)
        return message

    def swapped(self, kind: Descriptor) -> Message:
        """A valid message whose texts name existing things of other kinds."""
        message = self.valid(kind)
        things = (*self._world.owners, *self._world.transactions, *self._world.gifts)
        for each in kind.fields:
            if _is_text(each) and self._random.random() < 0.6:
                setattr(message, each.name, self._random.choice(things))
        return message

    def page(self, kind: Descriptor) -> Message:
        """A request for a page, with a token that the server did not make for it."""
        pages = self._world.pages.get(kind.full_name)
        if not pages:
            return self.hostile(kind)
        request, token = self._random.choice(pages)
        message = GetMessageClass(kind).FromString(request)
        forged = tokens.forged(self._random, token, self._world.tokens())
        message.page_token = forged.encode("utf-8", "replace").decode()  # type: ignore[attr-defined]
        return message

    def _fill(self, message: Message, each: FieldDescriptor, depth: int) -> None:
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            return
        if each.is_repeated:
            items = [self._value(each, depth) for _ in range(self._random.choice(LENGTHS))]
            getattr(message, each.name).extend(items)
        elif each.message_type is not None:
            if depth < DEPTH_MAX:
                getattr(message, each.name).CopyFrom(self._value(each, depth))
        else:
            setattr(message, each.name, self._value(each, depth))

    def _value(self, each: FieldDescriptor, depth: int) -> Any:
        if each.message_type is not None:
            return self._message(each.message_type, depth)
        if each.name in KNOWN:
            return KNOWN[each.name](self._random, self._world)
        if each.enum_type is not None:
            return self._random.choice(each.enum_type.values[1:] or each.enum_type.values).number
        if each.cpp_type in values.INTEGERS:
            return self._random.randint(1, 20)
        if each.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self._random.random() < 0.3
        return "words" if _is_text(each) else values.scalar(self._random, each)

    def _message(self, kind: Descriptor, depth: int) -> Message:
        if kind == Catalog.DESCRIPTOR:
            return self._world.catalog
        if kind == Timestamp.DESCRIPTOR:
            return Timestamp(seconds=NOW + self._random.randrange(10**7))
        return self.valid(kind, depth + 1)

    def _spoil(self, message: Message, depth: int) -> None:
        """Puts a hostile value into one field, at any depth."""
        if not message.DESCRIPTOR.fields:
            return
        each = self._random.choice(message.DESCRIPTOR.fields)
        kind = each.message_type
        if kind is not None and kind.GetOptions().map_entry:
            getattr(message, each.name)[values.text(self._random)] = values.text(self._random)
        elif each.is_repeated:
            self._spoil_list(message, each, depth)
        elif kind == Timestamp.DESCRIPTOR:
            getattr(message, each.name).CopyFrom(values.time(self._random))
        elif kind is not None:
            if depth < DEPTH_MAX:
                self._spoil(getattr(message, each.name), depth + 1)
        else:
            setattr(message, each.name, values.scalar(self._random, each))

    def _spoil_list(self, message: Message, each: FieldDescriptor, depth: int) -> None:
        items = getattr(message, each.name)
        if self._random.random() < 0.05:
            items.extend([self._value(each, DEPTH_MAX)] * MANY)
        elif each.message_type is None:
            items.append(values.scalar(self._random, each))
        elif items and depth < DEPTH_MAX:
            self._spoil(self._random.choice(items), depth + 1)


def has_pages(kind: Descriptor) -> bool:
    """Whether the request asks for a page of a list."""
    return any(each.GetOptions().HasExtension(options_pb2.page) for each in kind.fields)


def new_key(random: Random) -> str:
    """A key that nobody has used: a UUID of version 4."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _chosen(random: Random, kind: Descriptor) -> Sequence[FieldDescriptor]:
    """The fields, of each oneof one."""
    chosen = [each for each in kind.fields if _oneof(each) is None]
    return [*chosen, *(random.choice(each.fields) for each in kind.oneofs if len(each.fields) > 1)]


def _oneof(each: FieldDescriptor) -> object:
    oneof = each.containing_oneof
    return oneof if oneof is not None and len(oneof.fields) > 1 else None


def _is_text(each: FieldDescriptor) -> bool:
    return each.type == FieldDescriptor.TYPE_STRING and not each.is_repeated


def _owner(random: Random, world: World) -> str:
    return random.choice(world.owners)


def _transaction(random: Random, world: World) -> str:
    return random.choice(world.transactions)


def _key(random: Random, world: World) -> str:
    return new_key(random) if random.random() < 0.9 else _transaction(random, world)


def _nothing(_: Random, __: World) -> str:
    return ""


KNOWN: Mapping[str, Callable[[Random, World], Any]] = {
    "idempotency_key": _key,
    "owner_id": _owner,
    "sender_id": _owner,
    "recipient_id": _owner,
    "transaction_id": _transaction,
    "top_up_id": _transaction,
    "redemption_id": _transaction,
    "gift_id": lambda random, world: random.choice(world.gifts),
    "package_id": lambda random, world: random.choice(world.packages),
    "country_code": lambda random, _: random.choice(("DE", "US", "FR")),
    "currency_code": lambda random, _: random.choice(("EUR", "USD")),
    "date_of_birth": lambda random, _: f"{random.randint(1900, 2020)}-01-31",
    "context": lambda random, _: f"live/{random.randrange(5)}",
    "combo_id": lambda random, _: f"combo-{random.randrange(5)}",
    "page_token": _nothing,
    "validate_only": lambda random, _: random.random() < 0.1,
    "expected_version": lambda random, _: random.randrange(1, 4),
    "version": lambda random, _: random.randrange(4),
    "service": lambda random, _: random.choice(("", "giftpay.v1.GiftService", "nobody")),
    "file_by_filename": lambda random, _: "giftpay/v1/gift_service.proto",
    "file_containing_symbol": lambda random, _: "giftpay.v1.GiftService.SendGift",
    "containing_type": lambda random, _: "google.protobuf.FieldOptions",
}
