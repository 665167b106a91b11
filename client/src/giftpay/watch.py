"""Follows an account for as long as the caller likes, over any number of streams."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from giftpay.errors import GiftpayError
from giftpay.refusals import SlowReader
from giftpay.rpcs import ServerStream
from giftpay.status import may_pass
from giftpay.unary import backoff_s
from giftpay.v1 import Entry, Unit, WatchEntriesRequest, WatchEntriesResponse

SILENCE_MAX_S = 30.0  # three heartbeats
FAILURES_REPORTED = 10  # in a row: after about five seconds, and again after as many

Watch = ServerStream[WatchEntriesRequest, WatchEntriesResponse]
log = logging.getLogger(__name__)


async def watch_entries(
    watch: Watch, owner_id: str, unit: Unit.ValueType, after_seq: int
) -> AsyncGenerator[Entry]:
    """Every entry after `after_seq`, once and in order; a lost stream is resumed where it ended."""
    failures = 0
    while True:
        request = WatchEntriesRequest(owner_id=owner_id, unit=unit, after_seq=after_seq)
        try:
            async with aclosing(_entries(watch, request)) as entries:
                async for entry in entries:
                    failures, after_seq = 0, entry.seq
                    yield entry
        except GiftpayError as error:
            if not may_pass(error) and not isinstance(error, SlowReader):
                raise
            _report(failures, error)
        await asyncio.sleep(backoff_s(failures))
        failures += 1


async def _entries(watch: Watch, request: WatchEntriesRequest) -> AsyncGenerator[Entry]:
    """The entries of one stream, until it ends or falls silent."""
    seq = request.after_seq
    async with aclosing(watch(request)) as stream:
        while (part := await _next_part(stream)) is not None:
            for entry in part.entries:
                seq += 1
                if entry.seq != seq:
                    raise GiftpayError(f"Entry {entry.seq} came in the place of {seq}.")
                yield entry


async def _next_part(stream: AsyncGenerator[WatchEntriesResponse]) -> WatchEntriesResponse | None:
    """The next message; None when the stream has ended, or is dead and nobody said so."""
    try:
        async with asyncio.timeout(SILENCE_MAX_S):
            return await anext(stream, None)
    except TimeoutError:
        return None


def _report(failures: int, error: GiftpayError) -> None:
    # It goes on for as long as its caller likes, but not without a trace.
    if failures and failures % FAILURES_REPORTED == 0:
        log.warning("watch: no stream after %d attempts, and goes on: %s", failures, error)
