"""Following one account: the past first, then what comes; every entry once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from time import monotonic

from giftpay_server.journal.feed import Feed
from giftpay_server.journal.queue import ShuttingDownError
from giftpay_server.ledger.model import AccountKey
from giftpay_server.postgres.pool import Pool
from giftpay_server.wallet.store import Line, list_news
from giftpay_server.wire.fields import InvalidArgumentError

LINES_MAX = 500  # in one message
POLL_S = 3.0  # the truth; the feed's hint only makes it sooner


async def follow(
    pool: Pool, feed: Feed, account: AccountKey, *, after_seq: int, heartbeat_s: float
) -> AsyncGenerator[list[Line], None]:
    """Lines as they are booked, and none where nothing was for `heartbeat_s`.

    Never returns; raises ShuttingDownError when the feed closes, and InvalidArgumentError, as a
    resume beyond the end does, when the account went back behind what was told.
    """
    with feed.watching(account[0]) as woken:
        told = monotonic()
        while not feed.closed:
            woken.clear()  # before the look: what is booked after it wakes us again
            async with pool.acquire() as connection:
                lines, last_seq = await list_news(
                    connection, account, seq=after_seq, limit=LINES_MAX
                )
            if not lines:
                check_resume(after_seq, last_seq)
            if lines or monotonic() >= told + heartbeat_s:
                yield lines
                told = monotonic()
            if lines:
                after_seq = lines[-1].entry.seq
            if len(lines) < LINES_MAX:
                await _wait(woken, min(POLL_S, told + heartbeat_s - monotonic()))
    raise ShuttingDownError


def check_resume(after_seq: int, last_seq: int) -> None:
    """Raises InvalidArgumentError for a resume beyond the account's end."""
    if after_seq > last_seq:
        raise InvalidArgumentError("after_seq", f"0..{last_seq}")


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()
