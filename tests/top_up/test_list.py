"""ListTopUps: an owner's orders, newest first, a page at a time."""

from __future__ import annotations

from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay.v1 import (
    TOP_UP_STATE_CANCELLED,
    TOP_UP_STATE_PAID,
    TOP_UP_STATE_PENDING,
    ListTopUpsRequest,
    ListTopUpsResponse,
    TopUp,
)
from giftpay_server.top_up.store import LIST_TOP_UPS
from giftpay_server.wire.pages import NEWEST

from tests.conftest import OpenWallet
from tests.top_up.conftest import Shop


async def listed(shop: Shop, owner_id: str, **fields: Any) -> ListTopUpsResponse:
    return await shop.client.top_ups.ListTopUps(ListTopUpsRequest(owner_id=owner_id, **fields))


async def all_pages(shop: Shop, owner_id: str, **fields: Any) -> list[list[TopUp]]:
    pages: list[list[TopUp]] = []
    token = ""
    while not pages or token:
        answer = await listed(shop, owner_id, page_token=token, **fields)
        pages.append(list(answer.top_ups))
        token = answer.next_page_token
    return pages


async def test_orders_are_listed_newest_first(shop: Shop, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(), await open_wallet()
    orders = [await shop.order(anna) for _ in range(3)]
    await shop.order(ben)
    answer = await listed(shop, anna)
    assert list(answer.top_ups) == orders[::-1]
    assert answer.next_page_token == ""


async def test_pages_meet_without_a_gap_or_an_overlap(shop: Shop, open_wallet: OpenWallet) -> None:
    anna = await open_wallet()
    orders = [await shop.order(anna) for _ in range(5)]
    pages = await all_pages(shop, anna, page_size=2)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [order for page in pages for order in page] == orders[::-1]


async def test_an_order_that_is_made_between_two_pages_disturbs_neither(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    orders = [await shop.order(anna) for _ in range(3)]
    first = await listed(shop, anna, page_size=2)
    await shop.order(anna)
    second = await listed(shop, anna, page_size=2, page_token=first.next_page_token)
    assert [*first.top_ups, *second.top_ups] == orders[::-1]


async def test_orders_are_listed_by_state(shop: Shop, open_wallet: OpenWallet) -> None:
    anna = await open_wallet()
    pending, cancelled = await shop.order(anna), await shop.cancel(await shop.order(anna))
    (paid, _), second = await shop.bought(anna), await shop.order(anna)
    for state, expected in (
        (TOP_UP_STATE_PENDING, [second, pending]),
        (TOP_UP_STATE_CANCELLED, [cancelled]),
        (TOP_UP_STATE_PAID, [paid]),
    ):
        pages = await all_pages(shop, anna, state=state, page_size=1)
        assert [order for page in pages for order in page] == expected


async def test_who_never_ordered_has_no_orders(shop: Shop) -> None:
    assert await listed(shop, "nobody") == ListTopUpsResponse()


async def test_a_page_token_is_valid_only_for_its_list(shop: Shop, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(), await open_wallet()
    for _ in range(2):
        await shop.order(anna)
    token = (await listed(shop, anna, page_size=1)).next_page_token
    for owner_id, other in ((ben, {}), (anna, {"state": TOP_UP_STATE_PENDING})):
        with pytest.raises(giftpay.InvalidArgument) as refused:
            await listed(shop, owner_id, page_size=1, page_token=token, **other)
        assert refused.value.field == "page_token"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"state": 99}, "state"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "next"}, "page_token"),
    ],
)
async def test_malformed_lists_are_refused_by_field(
    shop: Shop, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await listed(shop, **({"owner_id": "anna"} | change))
    assert refused.value.field == field


async def test_a_page_is_read_off_the_index(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        rows = await connection.fetch(f"EXPLAIN {LIST_TOP_UPS}", "anna", *NEWEST, 2, 51)
    plan = "\n".join(row[0] for row in rows)
    assert "Index Scan Backward using top_up_owner" in plan
    assert "Sort" not in plan
