"""Reads of many rows: a part at a time and in turns, so that the loop is free between its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from giftpay_server.rest import Rest

PART = 100  # items, read at once
PORTION = 25  # items, built in one turn of the loop: about a quarter of a millisecond
PARTS_READ_AT_ONCE = 4  # and held in memory

Item = TypeVar("Item")

Read = Callable[[], Awaitable[Sequence[Item]]]
Show = Callable[[Sequence[Item]], Message]


class ReadLane:
    """Where the reads of one kind in a process take turns, whoever asks for them."""

    def __init__(self) -> None:
        self._reading = asyncio.Semaphore(PARTS_READ_AT_ONCE)
        self._building = asyncio.Lock()

    async def part(
        self, read: Read[Item], show: Show[Item], *, most: int = PART
    ) -> tuple[Sequence[Item], bytes]:
        """What was found, and at most so many of it as a message. Concatenated, messages merge."""
        async with self._reading:  # until it is built, or parts that were read would pile up
            found = await read()
            async with self._building:
                return found, await _built(found[:most], show)


async def _built(items: Sequence[Item], show: Show[Item]) -> bytes:
    built, rest = [], Rest()
    for at in range(0, max(len(items), 1), PORTION):  # of none, what the answer says beside them
        rest.begin()
        built.append(show(items[at : at + PORTION]).SerializeToString())
        await rest.take()
    return b"".join(built)
