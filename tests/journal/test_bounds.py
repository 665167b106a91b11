"""The journal's queue is bounded in number and in time; what it has accepted is finished."""

from __future__ import annotations

import asyncio

import pytest
from giftpay_server.config import Limits
from giftpay_server.journal.queue import OverloadedError, ShuttingDownError
from giftpay_server.ledger.model import Outcome
from giftpay_server.postgres.pool import Pool

from tests.journal.journals import adjust, balance, frozen, running_journal


async def test_a_full_queue_refuses_at_once_and_takes_a_call_whole_or_not_at_all(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database, limits=Limits(queue_max=5)) as journal:
        async with frozen(journal, admin, owners[0]):
            taken = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await asyncio.sleep(0.2)
            queued = [asyncio.create_task(journal.record(adjust(owners[0], 1))) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError):
                await journal.record_all([adjust(owners[0], 1) for _ in range(3)])
            queued.append(asyncio.create_task(journal.record(adjust(owners[0], 1))))
            await asyncio.sleep(0)
        await asyncio.gather(taken, *queued)
    assert await balance(admin, owners[0]) == 6


async def test_a_queue_too_long_for_its_pace_refuses_what_comes(
    database: str, admin: Pool, owners: list[str]
) -> None:
    limits = Limits(batch_max=1, wait_max_s=1e-6)
    async with running_journal(database, limits=limits) as journal:
        for _ in range(9):
            await journal.record(adjust(owners[0], 1))
        async with frozen(journal, admin, owners[0]):
            taken = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await asyncio.sleep(0.2)
            queued = asyncio.create_task(journal.record(adjust(owners[0], 1)))
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError):
                await journal.record(adjust(owners[0], 1))
        await asyncio.gather(taken, queued)


async def test_what_is_taken_is_finished_and_nothing_more_is_taken(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as journal:
        taken = [asyncio.create_task(journal.record(adjust(owners[0], 1))) for _ in range(50)]
        await asyncio.sleep(0)
        journal.drain()
        with pytest.raises(ShuttingDownError):
            await journal.record(adjust(owners[0], 1))
    assert all(isinstance(answer, Outcome) for answer in await asyncio.gather(*taken))
    assert await balance(admin, owners[0]) == 50
