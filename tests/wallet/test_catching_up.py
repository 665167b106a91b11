"""Followers of many accounts: what they read of the past, and the error that each of them gets."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from typing import Any, cast

import pytest
from giftpay.v1 import UNIT_COIN
from giftpay_server.journal.feed import Feed
from giftpay_server.ledger.model import AccountKey
from giftpay_server.wallet.followers import CATCHING_UP_MAX, Followers
from giftpay_server.wallet.statement import StatementLine, Statements
from giftpay_server.wire.lane import ReadLane


class Endless:
    """Statements whose past is never read to the end."""

    async def new(
        self, account: AccountKey, seq: int, limit: int
    ) -> tuple[list[StatementLine], int]:
        return [], seq

    async def after(self, account: AccountKey, seq: int, limit: int) -> list[StatementLine]:
        await asyncio.Event().wait()
        raise AssertionError


class Broken(Endless):
    """Statements that cannot be read for a defect."""

    async def new(
        self, account: AccountKey, seq: int, limit: int
    ) -> tuple[list[StatementLine], int]:
        raise KeyError(account)


class CountingLane(ReadLane):
    """Counts who waits for a turn or has one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def part(self, *args: Any, **options: Any) -> tuple[Sequence[Any], bytes]:
        self.asked += 1
        return await super().part(*args, **options)


def followers_of(statements: Endless, lane: ReadLane) -> Followers:
    pool = cast(Any, None)  # the sweep has no time to come
    return Followers(pool, Feed(), cast(Statements, statements), lane, heartbeat_s=10)


async def test_pages_wait_for_few_of_those_who_catch_up() -> None:
    lane = CountingLane()
    followers = followers_of(Endless(), lane)
    streams = [
        followers.follow((f"owner-{number}", UNIT_COIN), after_seq=0, last_seq=100)
        for number in range(50)
    ]
    tasks = [asyncio.create_task(anext(stream)) for stream in streams]
    await asyncio.sleep(0.1)
    asked = lane.asked
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert asked == CATCHING_UP_MAX


async def test_each_follower_gets_an_error_of_its_own() -> None:
    followers = followers_of(Broken(), ReadLane())
    lengths: set[int] = set()
    for task in [
        asyncio.create_task(anext(followers.follow(("anna", UNIT_COIN), after_seq=0, last_seq=0)))
        for _ in range(5)
    ]:
        with pytest.raises(RuntimeError) as caught:
            await task
        lengths.add(len(traceback.format_exception(caught.value)))
        assert isinstance(caught.value.__cause__, KeyError)
    assert len(lengths) == 1
