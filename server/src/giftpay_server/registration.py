"""The registration of a slice: everything that the rest of the server knows about it."""

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
from giftpay_server.wire.lane import ReadLane

Clock = Callable[[], datetime]


class TransactionRequest(NamedTuple):
    """The request of a transaction, and its personal text, which is only a hash in the request."""

    kind: int  # giftpay.v1.TransactionKind
    request: bytes
    text: str  # empty if there is none, or it was erased
    entries: str  # 'anna/1/17 ben/2/4'


@dataclass(frozen=True, slots=True)
class Details:
    """The details of one kind of transaction in a statement's line."""

    add: Callable[[Entry, TransactionRequest], None]
    # For a reversal: the id of the reversed transaction. `add` then gets that one's request.
    reversed_id: Callable[[bytes], str] = lambda _: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A service and everything that belongs to it; fields have empty defaults."""

    service_name: str  # in the package giftpay.v1
    service: Callable[[Parts], object]
    tables: Tables = field(default_factory=dict)  # its rows, which commands read and write
    movements: Mapping[TransactionKind.ValueType, Collection[Movement]] = field(
        default_factory=dict
    )
    details: Mapping[TransactionKind.ValueType, Details] = field(default_factory=dict)
    # Rows that keep a wallet from being closed, by their name in the figures of WALLET_NOT_EMPTY.
    open_items: Mapping[str, type[OpenItems]] = field(default_factory=dict)
    checks: Sequence[AuditCheck] = ()  # of its rows, run after the kernel's
    workers: Callable[[Parts], Sequence[Runner[Any]]] = lambda _: ()


class Registry:
    """The registrations of all slices, merged."""

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
    """The shared dependencies of services, for the lifetime of one server process."""

    config: Config
    registry: Registry
    clock: Clock  # of decisions
    clock_watch: ClockWatch  # which checks that clock
    pool: Pool
    catalogs: Catalogs
    feed: Feed
    journal: Journal
    http: aiohttp.ClientSession
    reads: ReadLane  # of the pages of all lists
