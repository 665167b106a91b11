"""Reads of many rows, in parts and round-robin, so that they do not block the event loop."""

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
    """A shared lane in which the reads of one kind in a process take turns."""

    def __init__(self) -> None:
        self._reading = asyncio.Semaphore(PARTS_READ_AT_ONCE)
        self._building = asyncio.Lock()

    async def part(
        self, read: Read[Item], show: Show[Item], *, most: int = PART
    ) -> tuple[Sequence[Item], bytes]:
        """The items that were read, and at most `most` of them as a serialized message.

        Protobuf merges concatenated messages.
        """
        async with self._reading:  # held until it is built, to bound the memory of parts
            found = await read()
            async with self._building:
                return found, await _built(found[:most], show)


async def _built(items: Sequence[Item], show: Show[Item]) -> bytes:
    built, rest = [], Rest()
    for at in range(
        0, max(len(items), 1), PORTION
    ):  # once also without items, for the other fields
        rest.begin()
        built.append(show(items[at : at + PORTION]).SerializeToString())
        await rest.take()
    return b"".join(built)
