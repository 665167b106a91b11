"""Idempotency keys: makes them, and finds the commands of a request that need one."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Protocol, cast
from uuid import UUID

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

_lock = threading.Lock()
_latest_tick = 0


def new_key() -> str:
    """A new UUIDv7, which sorts after every earlier one of this process."""
    global _latest_tick
    with _lock:
        # A tick is 1/4096 ms: the 48 bits of milliseconds and the 12 bits below them.
        _latest_tick = tick = max(time.time_ns() * 4096 // 1_000_000, _latest_tick + 1)
    milliseconds, fraction = divmod(tick, 4096)
    number = milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)
    return str(UUID(int=number))


class Command(Protocol):
    """A request, or an item of one, with an idempotency key."""

    idempotency_key: str


FindCommands = Callable[[Message], Iterable[Command]]


def command_finder(request: type[Message]) -> FindCommands | None:
    """A function that returns the commands in a request of this type; None for a read."""
    return _command_finder(cast(Descriptor, request.DESCRIPTOR))


def _command_finder(request: Descriptor) -> FindCommands | None:
    # The key is field 1 of every command. GetTransaction, a read, has a key in another field.
    first = request.fields_by_number.get(1)
    if first is None:
        return None
    if first.name == "idempotency_key":
        return lambda command: (cast(Command, command),)
    if first.message_type is not None and _command_finder(first.message_type):
        return attrgetter(first.name)
    return None


def name_commands(commands: Iterable[Command]) -> tuple[str, ...]:
    """Set a new key on each command that has none; returns the keys of all."""
    for command in commands:
        if not command.idempotency_key:
            command.idempotency_key = new_key()
    return tuple([command.idempotency_key for command in commands])
