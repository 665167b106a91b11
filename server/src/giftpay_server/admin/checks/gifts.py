"""Gifts, priced once more from the catalog version that each was sent under."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from giftpay.v1 import (
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    UNIT_COIN,
    UNIT_DIAMOND,
    BrokenRow,
    Gift,
    SendGiftRequest,
)
from google.protobuf.message import DecodeError

from giftpay_server.catalog.rules import Catalog
from giftpay_server.catalog.store import Catalogs
from giftpay_server.postgres.pool import Connection

CHUNK = 200  # gifts in memory, a few milliseconds of the event loop

# 7: GIFT. Runs once it is known that each transaction's entries are those that it lists.
READ_GIFTS = """
    SELECT t.id, t.request, t.answer, t.catalog_version,
           ARRAY(
               SELECT (e.owner_id, e.unit, e.system_account, e.amount, e.seq)
                 FROM unnest(string_to_array(t.entries, ' ')) WITH ORDINALITY AS list (ref, nth)
                 JOIN entry e
                   ON e.owner_id = split_part(ref, '/', 1)
                  AND e.unit = split_part(ref, '/', 2)::smallint
                  AND e.seq = split_part(ref, '/', 3)::bigint
                ORDER BY nth
           ) AS entries
      FROM transactions t
     WHERE t.create_time >= $1 AND t.kind = 7 AND t.reason = 0
     ORDER BY t.id
"""


async def broken_gift(
    connection: Connection, since: datetime, *, timeout_s: float
) -> BrokenRow | None:
    """The first gift that is not what its catalog version makes of its request."""
    catalogs = Catalogs()
    gifts = await connection.cursor(READ_GIFTS, since, timeout=timeout_s)
    while chunk := await gifts.fetch(CHUNK, timeout=timeout_s):
        for gift in chunk:
            if detail := await _disagreement(connection, catalogs, gift):
                key = str(gift["id"])
                return BrokenRow(check="gift.price", table="transactions", key=key, detail=detail)
        if broken := await _missing_context(connection, chunk):
            return broken
    return None


async def _disagreement(connection: Connection, catalogs: Catalogs, gift: Any) -> str:
    """What is wrong with a gift; empty if nothing is."""
    version = gift["catalog_version"]
    try:
        request = SendGiftRequest.FromString(gift["request"])
        answer = Gift.FromString(gift["answer"])
        catalog = await catalogs.at(connection, version)
    except DecodeError:
        return f"expected a request, an answer and the catalog {version}, found other bytes"
    if catalog is None or request.gift_id not in catalog.gifts:
        return f"expected {request.gift_id} in the catalog {version}, found none"
    return _mispriced(gift, request, answer, catalog)


def _mispriced(gift: Any, request: SendGiftRequest, answer: Gift, catalog: Catalog) -> str:
    coins = catalog.gifts[request.gift_id].coins * request.count
    diamonds = catalog.diamonds(coins)
    expected = [
        (request.sender_id, UNIT_COIN, SYSTEM_ACCOUNT_GIFT_SALES, -coins),
        (request.recipient_id, UNIT_DIAMOND, SYSTEM_ACCOUNT_CREATOR_EARNINGS, diamonds),
    ]
    found = [tuple(entry)[:4] for entry in gift["entries"]]
    if found != expected:
        return f"expected entries of {expected}, found {found}"
    if (answer.coins, answer.diamonds) != (coins, diamonds):
        told = f"{answer.coins} coins and {answer.diamonds} diamonds"
        return f"expected an answer of {coins} coins and {diamonds} diamonds, found {told}"
    return ""


FIND_CONTEXTS = """
    SELECT g.owner_id, g.context, g.seq
      FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (owner_id, context, seq)
      JOIN gift_context g
        ON g.owner_id = given.owner_id AND g.context = given.context AND g.seq = given.seq
"""


async def _missing_context(connection: Connection, gifts: Sequence[Any]) -> BrokenRow | None:
    given = set()
    for gift in gifts:
        if context := SendGiftRequest.FromString(gift["request"]).context:
            recipient_id, *_, seq = gift["entries"][-1]
            given.add((recipient_id, context, seq))
    found = await connection.fetch(FIND_CONTEXTS, *zip(*given, strict=True)) if given else ()
    missing = given - {(row["owner_id"], row["context"], row["seq"]) for row in found}
    if not missing:
        return None
    return BrokenRow(
        check="gift.context",
        table="gift_context",
        key="{}/{}/{}".format(*min(missing)),
        detail="expected the gift's context, found none",
    )
