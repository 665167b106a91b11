"""Orders and redemptions, against what their callers were told when they made them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from giftpay.v1 import BrokenRow, CreateRedemptionRequest, RedemptionQuote, TopUp
from google.protobuf.message import DecodeError

from giftpay_server.postgres.pool import Connection

CHUNK = 200  # rows in memory

READ_ORDERS = """
    SELECT o.top_up_id, t.request, t.answer,
           o.owner_id, o.package_id, o.provider, o.minor_units, o.currency, o.coins, o.bonus_coins
      FROM transactions t
      JOIN top_up o ON o.top_up_id = t.id
     WHERE t.create_time >= $1
     ORDER BY o.top_up_id
"""


def _order(_request: bytes, answer: bytes) -> Sequence[Any]:
    told = TopUp.FromString(answer)
    price = (told.price.minor_units, told.price.currency_code)
    return told.owner_id, told.package_id, told.provider, *price, told.coins, told.bonus_coins


READ_REDEMPTIONS = """
    SELECT r.redemption_id, t.request, t.answer,
           r.owner_id, r.diamonds, r.gross, r.fee, r.currency
      FROM transactions t
      JOIN redemption r ON r.redemption_id = t.id
     WHERE t.create_time >= $1
     ORDER BY r.redemption_id
"""


def _redemption(request: bytes, answer: bytes) -> Sequence[Any]:
    asked, told = CreateRedemptionRequest.FromString(request), RedemptionQuote.FromString(answer)
    money = (told.gross.minor_units, told.fee.minor_units, told.gross.currency_code)
    return asked.owner_id, told.diamonds, *money


PROMISES = (("top_up", READ_ORDERS, _order), ("redemption", READ_REDEMPTIONS, _redemption))


async def broken_promise(
    connection: Connection, since: datetime, *, timeout_s: float
) -> BrokenRow | None:
    """The first order, or else the first redemption, that is not what its caller was told."""
    for table, read, promise in PROMISES:
        rows = connection.cursor(read, since, prefetch=CHUNK, timeout=timeout_s)
        async for key, request, answer, *found in rows:
            try:
                promised = list(promise(request, answer))
            except DecodeError:
                promised = ["a request and its answer"]
            if found != promised:
                detail = f"expected {promised}, found {found}"
                return BrokenRow(check=f"{table}.promise", table=table, key=str(key), detail=detail)
    return None
