"""The audit checks of gifts: their prices, contexts and reversals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from giftpay.v1 import (
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_PLATFORM_LOSS,
    TRANSACTION_KIND_GIFT,
    TRANSACTION_KIND_GIFT_REVERSAL,
    UNIT_COIN,
    UNIT_DIAMOND,
    BrokenRow,
    Gift,
    SendGiftRequest,
)
from google.protobuf.message import DecodeError

from giftpay_server.catalog.rules import Catalog
from giftpay_server.catalog.store import KEPT_MAX, Catalogs
from giftpay_server.gift.rules import GiftContext
from giftpay_server.gift.store import CONTEXT
from giftpay_server.journal.check import (
    CHUNK,
    STATEMENT_TIMEOUT_S,
    AuditCheck,
    Check,
    of_transaction,
)
from giftpay_server.journal.sql import POSTED, refs
from giftpay_server.postgres.pool import Connection

READ_GIFTS = f"""
    SELECT t.id, t.request, t.answer, t.catalog_version,
           ARRAY(
               SELECT e
                 FROM {refs("t.entries")} AS ref
                 JOIN entry e USING (owner_id, unit, seq)
                ORDER BY nth
           ) AS entries
      FROM transactions t
     WHERE t.create_time >= $1 AND t.kind = {TRANSACTION_KIND_GIFT} AND t.reason = {POSTED}
     ORDER BY t.id
"""


class Half(NamedTuple):
    """One entry of a gift, reduced to what its price determines."""

    owner_id: str
    unit: int
    system_account: int
    amount: int


@dataclass(frozen=True, slots=True)
class GiftCheck:
    """Prices each gift again from its catalog version, and looks for its context."""

    names: Sequence[str] = ("gift.price", "gift.context")
    whole: bool = False

    async def first_broken(self, connection: Connection, since: datetime) -> BrokenRow | None:
        catalogs: dict[int, Catalog | None] = {}  # by version, which is unique in a snapshot
        gifts = await connection.cursor(READ_GIFTS, since, timeout=STATEMENT_TIMEOUT_S)
        while chunk := await gifts.fetch(CHUNK, timeout=STATEMENT_TIMEOUT_S):
            for gift in chunk:
                if detail := await _disagreement(connection, catalogs, gift):
                    key = str(gift["id"])
                    return BrokenRow(
                        check="gift.price", table="transactions", key=key, detail=detail
                    )
            if broken := await _missing_context(connection, chunk):
                return broken
        return None


async def _disagreement(
    connection: Connection, catalogs: dict[int, Catalog | None], gift: Any
) -> str:
    """Describes what is wrong with a gift; empty if nothing is."""
    version = gift["catalog_version"]
    try:
        request = SendGiftRequest.FromString(gift["request"])
        answer = Gift.FromString(gift["answer"])
        if version not in catalogs:
            if len(catalogs) >= KEPT_MAX:
                catalogs.clear()
            catalogs[version] = await Catalogs().at(connection, version)
    except DecodeError:
        return f"expected a request, an answer and the catalog {version}, found other bytes"
    catalog = catalogs[version]
    if catalog is None or request.gift_id not in catalog.gifts:
        return f"expected {request.gift_id} in the catalog {version}, found none"
    return _mispriced(gift["entries"], request, answer, catalog)


def _mispriced(
    entries: Sequence[Any], request: SendGiftRequest, answer: Gift, catalog: Catalog
) -> str:
    coins = catalog.gifts[request.gift_id].coins * request.count
    diamonds = catalog.diamonds(coins)
    expected = [
        Half(request.sender_id, UNIT_COIN, SYSTEM_ACCOUNT_GIFT_SALES, -coins),
        Half(request.recipient_id, UNIT_DIAMOND, SYSTEM_ACCOUNT_CREATOR_EARNINGS, diamonds),
    ]
    found = [
        Half(entry["owner_id"], entry["unit"], entry["system_account"], entry["amount"])
        for entry in entries
    ]
    if found != expected:
        return f"expected entries of {expected}, found {found}"
    if (answer.coins, answer.diamonds) != (coins, diamonds):
        answered = f"{answer.coins} coins and {answer.diamonds} diamonds"
        return f"expected an answer of {coins} coins and {diamonds} diamonds, found {answered}"
    return ""


FIND_CONTEXTS = f"""
    SELECT {CONTEXT.names}
      FROM unnest({CONTEXT.parameters()}) AS given ({CONTEXT.names})
      JOIN gift_context USING ({CONTEXT.names})
"""


async def _missing_context(connection: Connection, gifts: Iterable[Any]) -> BrokenRow | None:
    given = {
        GiftContext(entry["owner_id"], context, entry["seq"])
        for gift in gifts
        if (context := SendGiftRequest.FromString(gift["request"]).context)
        for entry in gift["entries"][-1:]  # the recipient's
    }
    rows = await connection.fetch(FIND_CONTEXTS, *CONTEXT.arrays([*given])) if given else ()
    missing = given - {GiftContext(**row) for row in rows}
    if not missing:
        return None
    return BrokenRow(
        check="gift.context",
        table="gift_context",
        key="{}/{}/{}".format(*min(missing)),
        detail="expected the gift's context, found none",
    )


CONTEXT_ENTRY = Check(
    name="gift_context.entry",
    table="gift_context",
    broken=f"""
        SELECT g.owner_id, g.context, g.seq
          FROM gift_context g
          LEFT JOIN entry e
            ON e.owner_id = g.owner_id AND e.unit = {UNIT_DIAMOND} AND e.seq = g.seq
          LEFT JOIN transactions t
            ON t.id = e.transaction_id AND t.kind = {TRANSACTION_KIND_GIFT}
         WHERE t.id IS NULL
    """,
    key="owner_id, context, seq",
    detail="'expected the entry of a gift, found none'",
    whole=True,
)

# A reversal has the entries of its gift with the opposite sign, and possibly one of the platform's
# loss. The lot of the returned coins names the gift.
REVERSAL_GIFT = of_transaction(
    name="reversal.gift",
    broken=f"""
        WITH reversals AS (
            SELECT t.id, t.entries, g.entries AS gift_entries
              FROM transactions t
             CROSS JOIN LATERAL {refs("t.entries")} AS ref
              JOIN lot l USING (owner_id, unit, seq)
              LEFT JOIN transactions g ON g.id = l.source_id
             WHERE t.create_time >= $1 AND t.kind = {TRANSACTION_KIND_GIFT_REVERSAL}
               AND t.reason = {POSTED}
        ), moved AS (
            SELECT r.id,
                   (SELECT string_agg((e.owner_id, e.unit, e.system_account, -e.amount)::text,
                                      ' ' ORDER BY e.unit)
                      FROM {refs("r.gift_entries")} AS ref
                      JOIN entry e USING (owner_id, unit, seq)
                   ) AS expected,
                   (SELECT string_agg((e.owner_id, e.unit, e.system_account, e.amount)::text,
                                      ' ' ORDER BY e.unit)
                      FROM {refs("r.entries")} AS ref
                      JOIN entry e USING (owner_id, unit, seq)
                     WHERE e.system_account <> {SYSTEM_ACCOUNT_PLATFORM_LOSS}
                   ) AS found
              FROM reversals r
        )
        SELECT * FROM moved WHERE expected IS DISTINCT FROM found
    """,
    detail="format('expected %s, found %s', coalesce(expected, 'none'), found)",
)

CHECKS: Sequence[AuditCheck] = (REVERSAL_GIFT, GiftCheck(), CONTEXT_ENTRY)
