"""Watches the clock skew between this machine and Postgres.

Several servers share one database, and so its clock. The system's clock is compared: an offset that
tests add to the time of decisions is not part of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from giftpay_server.postgres.pool import Connect, Connection
from giftpay_server.postgres.session import is_unusable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0

NOW = "SELECT clock_timestamp()"


class ClockSkewError(Exception):
    """The clocks of this machine and of Postgres are too far apart; nothing may be decided."""

    def __init__(self, skew: float, bound: float) -> None:
        self.skew, self.bound = skew, bound  # seconds; the skew is below 0 where we are ahead
        super().__init__(
            f"this machine's clock is {abs(skew):.3f} s {'ahead of' if skew < 0 else 'behind'} "
            f"Postgres', and may be {bound:g} s off (GIFTPAY_CLOCK_SKEW_MAX_S)"
        )


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


class ClockWatch:
    """Compares the clocks every few seconds and keeps the result."""

    def __init__(
        self, connect: Connect, *, bound_s: float, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._connect = connect
        self.bound_s = bound_s
        self._clock = clock
        self._session: Connection | None = None
        self._wrong: ClockSkewError | None = None

    @property
    def is_right(self) -> bool:
        """Whether the clocks agreed when they were last compared."""
        return self._wrong is None

    def check(self) -> None:
        """Raises ClockSkewError unless the clocks agreed when they were last compared."""
        if self._wrong is not None:
            raise ClockSkewError(self._wrong.skew, self._wrong.bound)

    async def run(self, report: Callable[[bool], Awaitable[None]]) -> None:
        """Compares every few seconds and reports each result; never returns."""
        try:
            while True:
                await report(self.is_right)
                await asyncio.sleep(LOOK_EVERY_S)
                await self.look()
        finally:
            await self.close()

    async def close(self) -> None:
        """Closes its session."""
        if self._session is not None:
            await self._session.close()

    async def look(self) -> None:
        """Compares the clocks; if Postgres is unavailable, the last result is kept."""
        try:
            await self._compare()
        except Exception as error:
            if not is_unusable(error):
                log.info("the clocks cannot be compared: %r", error)
            # Otherwise the database is away, which is logged by those who need it.

    async def _compare(self) -> None:
        if self._session is None or self._session.is_closed():
            self._session = await self._connect()
        before, begun = self._clock(), monotonic()
        theirs: datetime = await self._session.fetchval(NOW)
        # The greater of both: one clock stops while the machine sleeps, the other may be set.
        passed = max(timedelta(seconds=monotonic() - begun), self._clock() - before)
        # Postgres read its clock at an unknown moment of the round trip.
        self._judge(ours=before + passed / 2, theirs=theirs, unsure=passed / 2)

    def _judge(self, *, ours: datetime, theirs: datetime, unsure: timedelta) -> None:
        was_right, skew = self.is_right, theirs - ours
        is_beyond = (abs(skew) - unsure).total_seconds() > self.bound_s
        self._wrong = ClockSkewError(skew.total_seconds(), self.bound_s) if is_beyond else None
        if was_right and self._wrong is not None:
            log.error("nothing is decided: %s; it says %s, Postgres' %s", self._wrong, ours, theirs)
        elif not was_right and self._wrong is None:
            log.warning("the clocks agree again: this one says %s, Postgres' %s", ours, theirs)
