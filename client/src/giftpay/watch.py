"""Follows an account, over any number of streams: a lost one is resumed."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from giftpay.errors import GiftpayError
from giftpay.refusals import SlowReader
from giftpay.rpcs import ServerStream
from giftpay.status import is_transient
from giftpay.unary import backoff_s
from giftpay.v1 import Entry, Unit, WatchEntriesRequest, WatchEntriesResponse

SILENCE_MAX_S = 30.0  # three heartbeats
FAILURES_LOGGED = 10  # in a row, which is every five seconds or so

Watch = ServerStream[WatchEntriesRequest, WatchEntriesResponse]
log = logging.getLogger(__name__)


async def watch_entries(
    watch: Watch, owner_id: str, unit: Unit.ValueType, after_seq: int
) -> AsyncGenerator[Entry]:
    """Every entry after `after_seq`, once and in order; a lost stream is resumed after its last."""
    failures = 0
    while True:
        request = WatchEntriesRequest(owner_id=owner_id, unit=unit, after_seq=after_seq)
        try:
            async with aclosing(_entries(watch, request)) as entries:
                async for entry in entries:
                    failures, after_seq = 0, entry.seq
                    yield entry
        except GiftpayError as error:
            if not is_transient(error) and not isinstance(error, SlowReader):
                raise
            _log(failures, error)
        await asyncio.sleep(backoff_s(failures))
        failures += 1


async def _entries(watch: Watch, request: WatchEntriesRequest) -> AsyncGenerator[Entry]:
    """The entries of one stream, until it ends or receives nothing for too long."""
    seq = request.after_seq
    async with aclosing(watch(request)) as stream:
        while (part := await _next_part(stream)) is not None:
            for entry in part.entries:
                seq += 1
                if entry.seq != seq:
                    raise GiftpayError(f"Entry {entry.seq} arrived in place of {seq}.")
                yield entry


async def _next_part(stream: AsyncGenerator[WatchEntriesResponse]) -> WatchEntriesResponse | None:
    """The next message; None if the stream has ended or received nothing for too long."""
    try:
        async with asyncio.timeout(SILENCE_MAX_S):
            return await anext(stream, None)
    except TimeoutError:
        return None


def _log(failures: int, error: GiftpayError) -> None:
    # Retries continue without end, so that the log is the only sign of a permanent failure.
    if failures and failures % FAILURES_LOGGED == 0:
        log.warning("watch: no stream after %d attempts, retrying: %s", failures, error)
