"""Books put back to before a payout: what the provider paid since is never taken for unpaid."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import asyncpg
import giftpay
import pytest
from giftpay.v1 import ApplyCatalogRequest, Catalog, Redemption

from tests.redemption.conftest import AMOUNT, CATALOG, DIAMONDS, Desk, new_desk

NewDatabase = Callable[[], Awaitable[str]]
LOG = "giftpay_server.redemption"
DEARER = 25  # minor units: what the fee rises by
NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Restored:
    """Books with a creator, and a copy of them; one provider for both."""

    before: Desk
    after: Desk
    owner_id: str

    async def pay(self, destination: str = "mia@example.org") -> tuple[Redemption, dict[str, str]]:
        """A redemption that the copy knows nothing of, and the fields to ask for it again."""
        fields = {
            "owner_id": self.owner_id,
            "idempotency_key": giftpay.new_key(),
            "destination": destination,
        }
        made = await self.before.redeem(**fields)
        await self.before.work()
        return made, fields


@pytest.fixture
async def restored(postgres: str, new_database: NewDatabase) -> AsyncIterator[Restored]:
    dsn = await new_database()
    async with new_desk(dsn) as desk:
        owner_id = await desk.open_creator()
    copy = await copy_of(dsn, postgres)
    async with new_desk(dsn) as before, new_desk(copy) as after:
        yield Restored(before, replace(after, sandbox=before.sandbox), owner_id)


async def copy_of(dsn: str, postgres: str) -> str:
    """The same books in another database; nobody may be connected to them."""
    name = urlsplit(dsn).path.removeprefix("/")
    copied = f"{name}_copy_{next(NUMBERS)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {copied} TEMPLATE {name}")
    await connection.close()
    return urlsplit(dsn)._replace(path=f"/{copied}").geturl()


async def raise_the_fee(desk: Desk) -> None:
    catalog = Catalog()
    catalog.CopyFrom(CATALOG)
    catalog.payout_rates[0].fee_minor_units += DEARER
    await desk.client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))


async def is_left_to_an_operator(desk: Desk, made: Redemption) -> None:
    assert await desk.state(made) == "UNKNOWN"
    assert await desk.diamonds(made.owner_id) == (DIAMONDS, DIAMONDS)
    assert await desk.money(made) == []


async def test_what_was_paid_before_the_fee_changed_is_left_to_an_operator(
    restored: Restored, caplog: pytest.LogCaptureFixture
) -> None:
    desk = restored.after
    paid, fields = await restored.pay()
    await raise_the_fee(desk)
    made = await desk.redeem(**fields)
    assert made.redemption_id == paid.redemption_id
    with caplog.at_level(logging.WARNING, LOG):
        for minutes in (0, 1, 5):
            await desk.work(minutes=minutes)
            await is_left_to_an_operator(desk, made)
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(LOG)]
    assert len(lines) == 1
    assert "operator" in lines[0]
    assert f"minor_units {AMOUNT} and not {AMOUNT - DEARER}" in lines[0]


async def test_what_was_paid_as_it_is_ordered_again_is_paid(restored: Restored) -> None:
    desk = restored.after
    _, fields = await restored.pay()
    made = await desk.redeem(**fields)
    await desk.work()
    assert await desk.state(made) == "PAID"
    assert await desk.payouts(made) == [("PAID", AMOUNT, 2)]
    assert await desk.money(made) == [-AMOUNT]


@pytest.mark.parametrize("first", ["decline@sandbox.example", "returned@sandbox.example"])
async def test_what_came_back_of_another_payout_does_not_end_this_one(
    restored: Restored, first: str
) -> None:
    desk = restored.after
    _, fields = await restored.pay(first)
    await raise_the_fee(desk)
    made = await desk.redeem(**fields)
    for minutes in (0, 1, 5):
        await desk.work(minutes=minutes)
        await is_left_to_an_operator(desk, made)


async def test_another_destination_is_left_to_an_operator_and_not_shown(
    restored: Restored, caplog: pytest.LogCaptureFixture
) -> None:
    desk = restored.after
    _, fields = await restored.pay("ben@example.org")
    made = await desk.redeem(**{**fields, "destination": "eve@example.org"})
    await desk.work()
    await is_left_to_an_operator(desk, made)
    assert "another destination" in caplog.text
    assert "@example.org" not in caplog.text


async def test_what_is_found_out_by_a_look_up_alone_is_left_to_an_operator_too(
    restored: Restored,
) -> None:
    desk = restored.after
    _, fields = await restored.pay()
    await raise_the_fee(desk)
    await desk.script(fields["destination"], {"action": "refuse_before"})
    made = await desk.redeem(**fields)
    await desk.work()
    assert await desk.state(made) == "UNKNOWN"
    await desk.work(minutes=1)
    await is_left_to_an_operator(desk, made)
    assert await desk.payouts(made) == [("PAID", AMOUNT, 1)]


async def test_an_operator_may_have_it_looked_up_once_more(
    restored: Restored, caplog: pytest.LogCaptureFixture
) -> None:
    desk = restored.after
    _, fields = await restored.pay()
    await raise_the_fee(desk)
    made = await desk.redeem(**fields)
    await desk.work()
    async with asyncpg.create_pool(desk.server.parts.config.database_url, min_size=1) as operator:
        sql = "UPDATE redemption SET next_time = now() WHERE state = 3 AND next_time IS NULL"
        await operator.execute(sql)
    caplog.clear()
    await desk.work()
    await is_left_to_an_operator(desk, made)
    assert "left to an operator" in caplog.text
