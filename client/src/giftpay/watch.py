"""Follows an account for as long as the caller likes, over any number of streams."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from giftpay.channel import backoff_s
from giftpay.errors import GiftpayError
from giftpay.refusals import SlowReader
from giftpay.status import UNANSWERED
from giftpay.v1 import (
    Entry,
    Unit,
    WalletServiceStub,
    WatchEntriesRequest,
    WatchEntriesResponse,
)

SILENCE_MAX_S = 30.0  # three heartbeats


async def watch_entries(
    wallets: WalletServiceStub, owner_id: str, unit: Unit.ValueType, after_seq: int
) -> AsyncGenerator[Entry]:
    """Every entry after `after_seq`, once and in order; a lost stream is resumed where it ended."""
    failures = 0
    while True:
        request = WatchEntriesRequest(owner_id=owner_id, unit=unit, after_seq=after_seq)
        try:
            async with aclosing(_entries(wallets, request)) as entries:
                async for entry in entries:
                    failures, after_seq = 0, entry.seq
                    yield entry
        except GiftpayError as error:
            if error.code not in UNANSWERED and not isinstance(error, SlowReader):
                raise
        await asyncio.sleep(backoff_s(failures))
        failures += 1


async def _entries(
    wallets: WalletServiceStub, request: WatchEntriesRequest
) -> AsyncGenerator[Entry]:
    """The entries of one stream, until it ends or falls silent."""
    seq = request.after_seq
    # The stub's type promises a grpc call; `StreamRpc` makes it a generator.
    stream = cast(AsyncGenerator[WatchEntriesResponse], wallets.WatchEntries(request))
    async with aclosing(stream):
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
