"""Servers that apply catalogs concurrently: the version number decides, and answers are right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import ApplyCatalogRequest, ApplyCatalogResponse, GetCatalogRequest
from giftpay.v1 import Catalog as CatalogMessage
from giftpay_server.catalog.rules import Catalog
from giftpay_server.ledger.model import Books

from tests.catalog.examples import NOW, applied, example, gift

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

INSERT_VERSION = """
    WITH new_transaction AS (
        INSERT INTO transactions (id, caller, kind, request, reason, answer, catalog_version,
                                  entries, create_time)
        VALUES (gen_random_uuid(), 'other', 3, '', 0, '', $1, '', now())  -- 3: APPLY_CATALOG
        RETURNING id, create_time
    )
    INSERT INTO catalog (version, transaction_id, create_time, etag, body)
    SELECT $1, id, create_time, 1 + $1, $2 FROM new_transaction
"""

WAITED_FOR = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))
      FROM pg_sleep(0.01)
"""


@pytest.fixture
async def other(shop_dsn: str) -> AsyncIterator[Connection]:
    """A connection that acts as another server, as slowly as the test wants."""
    connection = await asyncpg.connect(shop_dsn)
    yield connection
    await connection.close()


def with_gift(gift_id: str) -> CatalogMessage:
    catalog = example()
    catalog.gifts.append(gift(gift_id, 10))
    return catalog


async def apply(client: Client, catalog: CatalogMessage) -> int:
    response = await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))
    return response.version


async def read(client: Client) -> CatalogMessage:
    return (await client.catalog.GetCatalog(GetCatalogRequest())).catalog


async def overtaken(
    client: Client, other: Connection, request: ApplyCatalogRequest, *, by: CatalogMessage
) -> ApplyCatalogResponse:
    """The answer of a server whose current version another one replaces at the same time."""
    books = Books(now=NOW, catalog=Catalog.of(await read(client)))
    applied(books, by)
    async with other.transaction():
        body = books.catalog.message.SerializeToString()
        await other.execute(INSERT_VERSION, books.catalog.version, body)
        answer = asyncio.ensure_future(client.catalog.ApplyCatalog(request))
        async with asyncio.timeout(10):
            while not await other.fetchval(WAITED_FOR):
                assert not answer.done()
    return await answer


async def test_after_a_conflict_the_next_version_follows_the_other_one(
    shop: Client, other: Connection
) -> None:
    before = await apply(shop, example())
    request = ApplyCatalogRequest(catalog=with_gift("tortoise"))
    response = await overtaken(shop, other, request, by=with_gift("hare"))
    current = await read(shop)
    assert response.version == current.version == before + 2
    assert gift("tortoise", 10) in current.gifts
    assert gift("hare", 10, off_sale=True) in current.gifts


async def test_after_a_conflict_with_an_equal_catalog_there_is_no_new_version(
    shop: Client, other: Connection
) -> None:
    before = await apply(shop, example())
    request = ApplyCatalogRequest(catalog=with_gift("twin"))
    response = await overtaken(shop, other, request, by=with_gift("twin"))
    assert response.version == (await read(shop)).version == before + 1


async def test_after_a_conflict_an_expected_version_is_refused(
    shop: Client, other: Connection
) -> None:
    before = await apply(shop, example())
    request = ApplyCatalogRequest(catalog=with_gift("tortoise"), expected_version=before)
    with pytest.raises(giftpay.CatalogVersionConflict) as conflict:
        await overtaken(shop, other, request, by=with_gift("hare"))
    assert conflict.value.current_version == before + 1


async def test_two_servers_make_a_version_of_each_catalog(shop: Client, rival: Client) -> None:
    before = await apply(shop, example())
    versions = await asyncio.gather(apply(shop, with_gift("red")), apply(rival, with_gift("blue")))
    assert sorted(versions) == [before + 1, before + 2]
    assert {"red", "blue"} <= {each.gift_id for each in (await read(shop)).gifts}


async def test_two_servers_asked_with_one_key_apply_once(shop: Client, rival: Client) -> None:
    before = await apply(shop, example())
    key, catalog = giftpay.new_key(), with_gift("single")
    first, second = await asyncio.gather(
        *(
            client.catalog.ApplyCatalog(ApplyCatalogRequest(idempotency_key=key, catalog=catalog))
            for client in (shop, rival)
        )
    )
    assert first.version == second.version == before + 1
    assert sorted([first.replayed, second.replayed]) == [False, True]


async def test_what_one_server_applied_the_other_sells(shop: Client, rival: Client) -> None:
    await apply(shop, with_gift("news"))
    assert gift("news", 10) in (await read(rival)).gifts
