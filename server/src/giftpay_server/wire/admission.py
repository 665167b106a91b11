"""Admission control: bounds the calls in flight in a process, by kind."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeAlias

from giftpay.v1 import ERROR_REASON_LIMIT_REACHED
from giftpay.v1.options_pb2 import FORM_KEY, Form
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from giftpay_server.config import CallLimits
from giftpay_server.ledger.model import refuse
from giftpay_server.settings import variable_of
from giftpay_server.wire.bounds import BOUNDS
from giftpay_server.wire.calls import Unsent
from giftpay_server.wire.refusals import RefusedError

PACKAGE = "giftpay.v1"

Place: TypeAlias = AbstractAsyncContextManager[Any]  # held while a call is in flight


class Admission:
    """The bounds of one process, and the calls that count against them."""

    def __init__(self, limits: CallLimits) -> None:
        self._limits = limits
        self._commands = Bound(limits, "commands_max")
        self._followers = Bound(limits, "followers_max")
        self._gift_streams = Bound(limits, "gift_streams_max")
        self.unsent = Unsent(
            limits.unsent_max,
            limits.request_within_s,
            too_many=limit_reached(limits, "unsent_max"),
            too_late=limit_reached(limits, "request_within_s"),
        )

    def place(self, method: MethodDescriptor) -> Place:
        """The bound that a call of this method counts against, with the other calls of its kind."""
        if method.containing_service.file.package != PACKAGE:  # health and reflection
            return Bound(self._limits, "tool_calls_max")
        if method.client_streaming:
            return self._gift_streams
        if method.server_streaming:
            return self._followers
        if _has_key(method.input_type):
            return self._commands
        # Of each method: a wallet is not read after pages, nor after transactions that wait for a
        # standby.
        return Turns(self._limits)


def _has_key(kind: Descriptor) -> bool:
    """Whether a request or what is inside it has a key of its own, as commands do.

    A key that is one of several names of a transaction is another's.
    """
    return any(
        (_form(field) == FORM_KEY and field.containing_oneof is None)
        or (field.message_type is not None and _has_key(field.message_type))
        for field in kind.fields
    )


def _form(field: FieldDescriptor) -> Form.ValueType:
    return field.GetOptions().Extensions[BOUNDS].form


def limit_reached(limits: CallLimits, name: str) -> RefusedError:
    """The refusal of a call that exceeds this bound."""
    figures = {"setting": variable_of(name), "limit": f"{getattr(limits, name):g}"}
    return RefusedError(refuse(ERROR_REASON_LIMIT_REACHED, **figures))


class Bound:
    """At most so many calls at once; raises RefusedError for one more."""

    def __init__(self, limits: CallLimits, name: str) -> None:
        self._most: int = getattr(limits, name)
        self._refused = partial(limit_reached, limits, name)
        self._under_way = 0

    async def __aenter__(self) -> None:
        if self._under_way >= self._most:
            raise self._refused()
        self._under_way += 1

    async def __aexit__(self, *_: object) -> None:
        self._under_way -= 1


class Turns:
    """Few calls at once, with a bounded FIFO queue of others, so that commands are not delayed.

    Raises RefusedError if the queue is full.
    """

    def __init__(self, limits: CallLimits) -> None:
        self._turns = asyncio.Semaphore(limits.reads_max)
        self._waiting = Bound(limits, "reads_waiting_max")

    async def __aenter__(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        async with self._waiting:
            await self._turns.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._turns.release()
