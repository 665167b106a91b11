"""Pages: read by parts and in turns, and cut as if they were read in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from giftpay.v1 import Entry, ListEntriesRequest, ListEntriesResponse
from giftpay_server.wire.lane import PART, PARTS_READ_AT_ONCE, PORTION, ReadLane
from giftpay_server.wire.pages import Listing, open_page, read_page
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTHS = st.sampled_from([0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1, 5 * PART + 7])
SIZES = st.sampled_from([1, PART - 1, PART, PART + 1, 2 * PART, 1_000])


def listing(length: int) -> Listing[int, int]:
    """A list of so many numbers, from 1."""

    async def read(after: int, limit: int) -> Sequence[int]:
        assert limit <= PART + 1
        return range(after + 1, length + 1)[:limit]

    return Listing(read=read, place=lambda number: number, show=shown)


def shown(numbers: Sequence[int]) -> ListEntriesResponse:
    return ListEntriesResponse(entries=[Entry(seq=number) for number in numbers])


async def page(listed: Listing[int, int], size: int, token: str) -> ListEntriesResponse:
    asked = open_page(ListEntriesRequest(page_size=size, page_token=token))
    answer = await read_page(ReadLane(), asked, listed, first=asked.number(first=0))
    return ListEntriesResponse.FromString(answer)


@settings(deadline=None)
@given(LENGTHS, SIZES)
async def test_pages_together_are_the_list_and_each_but_the_last_is_full(
    length: int, size: int
) -> None:
    listed, token, seen = listing(length), "", 0
    for _ in range(3):
        answer = await page(listed, size, token)
        here = [entry.seq for entry in answer.entries]
        assert here == list(range(seen + 1, min(seen + size, length) + 1))
        seen, token = seen + len(here), answer.next_page_token
        assert bool(token) == (seen < length)
        if not token:
            return


async def test_a_turn_of_the_loop_builds_no_more_than_a_portion_whoever_reads() -> None:
    lane, built, ended = ReadLane(), 0, asyncio.Event()
    in_a_turn: list[int] = []

    def show(numbers: Sequence[int]) -> ListEntriesResponse:
        nonlocal built
        built += len(numbers)
        return shown(numbers)

    async def read() -> Sequence[int]:
        return range(1_000)

    async def count() -> None:
        nonlocal built
        while not ended.is_set():
            in_a_turn.append(built)
            built = 0
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.gather(*(lane.part(read, show, most=1_000) for _ in range(5)))
    ended.set()
    await counting
    assert sum(in_a_turn) + built == 5 * 1_000
    assert max(in_a_turn) <= PORTION


async def test_no_more_is_read_ahead_than_is_read_at_once() -> None:
    lane, waiting, waited = ReadLane(), 0, [0]

    async def read() -> Sequence[int]:
        nonlocal waiting
        waiting += 1
        waited.append(waiting)
        return range(PART)

    def show(numbers: Sequence[int]) -> ListEntriesResponse:
        nonlocal waiting
        waiting -= numbers[-1] == PART - 1
        return shown(numbers)

    await asyncio.gather(*(lane.part(read, show) for _ in range(50)))
    assert max(waited) <= PARTS_READ_AT_ONCE
