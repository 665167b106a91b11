"""Two journals over one database: each key once, and no deadlock."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from giftpay_server.journal import writes as stripes
from giftpay_server.ledger.model import KeyReused, Outcome
from giftpay_server.postgres.pool import Pool

from tests.journal.journals import adjust, balance, running_journal


def replayed(answers: Sequence[Any]) -> list[bool]:
    return sorted(answer.replayed for answer in answers)


async def test_the_same_key_at_once_through_two_journals_is_posted_once(
    database: str, admin: Pool, owners: list[str]
) -> None:
    keys = [str(uuid.uuid4()) for _ in range(100)]
    async with running_journal(database) as one, running_journal(database) as two:
        answers = await asyncio.gather(
            *(j.record(adjust(owners[0], 1, key=key)) for key in keys for j in (one, two))
        )
    assert replayed(answers) == [False] * 100 + [True] * 100
    assert await balance(admin, owners[0]) == 100


async def test_the_same_key_for_other_wallets_through_two_journals_is_posted_once(
    database: str, admin: Pool, owners: list[str]
) -> None:
    keys = [str(uuid.uuid4()) for _ in range(100)]
    async with running_journal(database) as one, running_journal(database) as two:
        answers = await asyncio.gather(
            *(
                journal.record(adjust(owner, 1, key=key))
                for key in keys
                for journal, owner in zip((one, two), owners[:2], strict=True)
            )
        )
    posted = [answer for answer in answers if isinstance(answer, Outcome)]
    reused = [answer for answer in answers if isinstance(answer, KeyReused)]
    assert (len(posted), len(reused)) == (100, 100)
    assert {tuple(answer.fields) for answer in reused} == {("owner_id",)}
    assert await balance(admin, owners[0]) + await balance(admin, owners[1]) == 100


async def test_two_journals_over_the_same_accounts_do_not_deadlock(
    database: str, admin: Pool, owners: list[str]
) -> None:
    async with running_journal(database) as one, running_journal(database) as two:
        await asyncio.gather(
            *(j.record(adjust(o, 1)) for _ in range(200) for j in (one, two) for o in owners)
        )
    assert [await balance(admin, owner) for owner in owners] == [400] * 3


async def test_two_sessions_on_one_stripe_only_wait_for_each_other(
    database: str, admin: Pool, owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripes, "STRIPES", 1)
    async with running_journal(database) as one, running_journal(database) as two:
        await asyncio.gather(
            *(
                journal.record(adjust(owner, 1))
                for _ in range(200)
                for journal, owner in zip((one, two), owners[:2], strict=True)
            )
        )
    assert [await balance(admin, owner) for owner in owners[:2]] == [200] * 2
