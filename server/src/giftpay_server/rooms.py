"""What the services stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from giftpay_server.catalog.store import Catalogs
from giftpay_server.config import Config
from giftpay_server.journal.feed import Feed
from giftpay_server.journal.journal import Journal
from giftpay_server.postgres.clock import ClockWatch
from giftpay_server.postgres.pool import Pool

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Rooms:
    """The parts of one server process, alive as long as it is."""

    config: Config
    clock: Clock  # by which is decided
    clock_watch: ClockWatch  # whether it can be believed
    pool: Pool
    catalogs: Catalogs
    feed: Feed
    journal: Journal
    http: aiohttp.ClientSession
