"""GetRedemption and ListRedemptions over the wire."""

from __future__ import annotations

import base64
import json
from itertools import chain
from typing import Any

import giftpay
import pytest
from giftpay.v1 import (
    REDEMPTION_STATE_CANCELLED,
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_PAID,
    REDEMPTION_STATE_UNSPECIFIED,
    CancelRedemptionRequest,
    GetRedemptionRequest,
    ListRedemptionsRequest,
    Redemption,
    RedemptionState,
)
from giftpay_server.redemption.store import FIRST, LIST_REDEMPTIONS, READ_DUE
from giftpay_server.wire.pages import NEWEST

from tests.redemption.conftest import Desk


async def listed(
    desk: Desk,
    owner_id: str,
    *,
    size: int,
    state: RedemptionState.ValueType = REDEMPTION_STATE_UNSPECIFIED,
) -> list[str]:
    found: list[Redemption] = []
    token = ""
    while True:
        request = ListRedemptionsRequest(
            owner_id=owner_id, state=state, page_size=size, page_token=token
        )
        page = await desk.client.redemptions.ListRedemptions(request)
        assert len(page.redemptions) <= size
        found += page.redemptions
        if not (token := page.next_page_token):
            return [item.redemption_id for item in found]


@pytest.fixture(scope="module")
async def mia(desk: Desk) -> str:
    """A creator with two redemptions paid, three held and one cancelled."""
    owner_id = await desk.open_creator(diamonds=6_000)
    for _ in range(2):
        await desk.redeem(owner_id=owner_id, diamonds=1_000)
    await desk.work()
    made = [await desk.redeem(owner_id=owner_id, diamonds=1_000) for _ in range(4)]
    await desk.client.redemptions.CancelRedemption(
        CancelRedemptionRequest(redemption_id=made[1].redemption_id)
    )
    return owner_id


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
async def test_pages_together_are_the_list_newest_first(desk: Desk, mia: str, size: int) -> None:
    every = await listed(desk, mia, size=1_000)
    assert every == sorted(every, reverse=True)  # keys are UUIDv7: the newest is the greatest
    assert len(every) == 6
    assert await listed(desk, mia, size=size) == every
    states = {
        state: await listed(desk, mia, size=size, state=state)
        for state in (REDEMPTION_STATE_HELD, REDEMPTION_STATE_PAID, REDEMPTION_STATE_CANCELLED)
    }
    assert [len(found) for found in states.values()] == [3, 2, 1]
    assert sorted(chain(*states.values()), reverse=True) == every


async def test_the_list_has_the_same_fields_as_a_single_read(desk: Desk, mia: str) -> None:
    page = await desk.client.redemptions.ListRedemptions(ListRedemptionsRequest(owner_id=mia))
    assert [await desk.read(item) for item in page.redemptions] == list(page.redemptions)


async def test_nobody_has_no_redemptions(desk: Desk) -> None:
    assert await listed(desk, "nobody", size=10) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner_id": "nobody"}, "page_token"),
        ({"state": REDEMPTION_STATE_HELD}, "page_token"),
        ({"page_token": "x"}, "page_token"),
        ({"page_size": -1}, "page_size"),
        ({"owner_id": "no body"}, "owner_id"),
        ({"state": 7}, "state"),
    ],
)
async def test_a_list_refuses_what_is_malformed_and_changed_filters(
    desk: Desk, mia: str, change: dict[str, Any], field: str
) -> None:
    request = ListRedemptionsRequest(owner_id=mia, page_size=1)
    token = (await desk.client.redemptions.ListRedemptions(request)).next_page_token
    fields = {"owner_id": mia, "page_size": 1, "page_token": token, **change}
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await desk.client.redemptions.ListRedemptions(ListRedemptionsRequest(**fields))
    assert refused.value.field == field


async def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    request = GetRedemptionRequest(redemption_id=giftpay.new_key())
    with pytest.raises(giftpay.RedemptionNotFound) as refused:
        await desk.client.redemptions.GetRedemption(request)
    assert refused.value.redemption_id == request.redemption_id
    with pytest.raises(giftpay.InvalidArgument) as malformed:
        await desk.client.redemptions.GetRedemption(GetRedemptionRequest(redemption_id="r1"))
    assert malformed.value.field == "redemption_id"


@pytest.mark.parametrize(
    "position",
    [
        ["0001-01-01T00:00:00+23:59", "01a20189-8b82-71cf-96be-66df3fa98aa2"],
        ["yesterday", "01a20189-8b82-71cf-96be-66df3fa98aa2"],
        ["2026-11-18T11:06:40+00:00", "r1"],
        [1],
    ],
)
async def test_a_made_up_page_token_is_malformed(desk: Desk, mia: str, position: list[Any]) -> None:
    request = ListRedemptionsRequest(owner_id=mia, page_size=1)
    token = (await desk.client.redemptions.ListRedemptions(request)).next_page_token
    filters, *_ = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps([filters, *position]).encode()).decode()
    request.page_token = forged.rstrip("=")
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await desk.client.redemptions.ListRedemptions(request)
    assert refused.value.field == "page_token"


@pytest.mark.parametrize(
    ("statement", "arguments", "index"),
    [
        (LIST_REDEMPTIONS, ("mia", *NEWEST, 0, 51), "redemption_owner"),
        (READ_DUE, (NEWEST[0], *FIRST, 100), "redemption_due"),
    ],
)
async def test_lists_can_be_read_off_an_index_in_their_order(
    desk: Desk, statement: str, arguments: tuple[Any, ...], index: str
) -> None:
    async with desk.server.parts.pool.acquire() as connection, connection.transaction():
        # Tables of tests are so small that reading and sorting them whole is cheaper.
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        plan = await connection.fetch(f"EXPLAIN {statement}", *arguments)
    text = "\n".join(row[0] for row in plan)
    assert f"using {index}" in text
    assert "Sort" not in text
