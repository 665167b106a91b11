"""What a slice registers: all that the rest of the server is to know of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import aiohttp
from giftpay.v1 import Entry, TransactionKind

from giftpay_server.catalog.store import Catalogs
from giftpay_server.config import Config
from giftpay_server.journal.check import AuditCheck
from giftpay_server.journal.feed import Feed
from giftpay_server.journal.journal import Journal
from giftpay_server.journal.store import Tables
from giftpay_server.journal.trace_store import TABLES as LEDGER_TABLES
from giftpay_server.journal.worker import Runner
from giftpay_server.ledger.model import OpenItems
from giftpay_server.ledger.movements import Movement, Movements, merged
from giftpay_server.postgres.clock import ClockWatch
from giftpay_server.postgres.pool import Pool

Clock = Callable[[], datetime]


class TransactionRequest(NamedTuple):
    """What a transaction was asked, and the personal text that its request holds as a hash."""

    kind: int  # giftpay.v1.TransactionKind
    request: bytes
    text: str  # empty if there was none, or it was erased
    entries: str  # 'anna/1/17 ben/2/4'


@dataclass(frozen=True, slots=True)
class Details:
    """What a statement's line says of one kind of transaction, beside its movement."""

    add: Callable[[Entry, TransactionRequest], None]
    # Of a kind that undoes another transaction: which one, by its request. `add` is given that one.
    reversed_id: Callable[[bytes], str] = lambda _: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A service with all that belongs to it; whatever is left out, it has none of."""

    service_name: str  # in the package giftpay.v1
    service: Callable[[Parts], object]
    tables: Tables = field(default_factory=dict)  # its rows, which commands read and leave
    movements: Mapping[TransactionKind.ValueType, Collection[Movement]] = field(
        default_factory=dict
    )
    details: Mapping[TransactionKind.ValueType, Details] = field(default_factory=dict)
    # What keeps a wallet from being closed, by its name among the figures of WALLET_NOT_EMPTY.
    open_items: Mapping[str, type[OpenItems]] = field(default_factory=dict)
    checks: Sequence[AuditCheck] = ()  # of its rows, made after the kernel's
    workers: Callable[[Parts], Sequence[Runner[Any]]] = lambda _: ()


class Registry:
    """What all slices register together."""

    def __init__(self, slices: Sequence[Slice]) -> None:
        """Raises MistakableKindsError where two kinds could be mistaken for one another."""
        self.slices = slices
        self.tables: Tables = _joined([LEDGER_TABLES, *(each.tables for each in slices)])
        self.movements: Movements = merged([each.movements for each in slices])
        self.details: Mapping[int, Details] = _joined([each.details for each in slices])
        self.open_items = _joined([each.open_items for each in slices])
        self.checks = tuple(chain.from_iterable(each.checks for each in slices))


def _joined(parts: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    joined: dict[Any, Any] = {}
    for part in parts:
        if twice := joined.keys() & part.keys():
            raise ValueError(f"two slices register {twice}")
        joined |= part
    return joined


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one server process, alive as long as it is: what services are made of."""

    config: Config
    registry: Registry
    clock: Clock  # by which is decided
    clock_watch: ClockWatch  # whether it can be believed
    pool: Pool
    catalogs: Catalogs
    feed: Feed
    journal: Journal
    http: aiohttp.ClientSession
