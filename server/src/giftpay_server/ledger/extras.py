"""The kernel's SQL for what most batches do not write, such as owners, holds, lots and claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from giftpay_server.ledger.books import Draft, Hold, Lot, MoneyMovement, Owner, Personal
from giftpay_server.postgres.pool import Connection

SAVE_OWNERS = """
    INSERT INTO owner (owner_id, status, country, adult_from, create_time)
    SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::date[], $5::timestamptz[])
        ON CONFLICT (owner_id) DO UPDATE
       SET status = excluded.status, adult_from = excluded.adult_from
"""

INSERT_CLAIMS = """
    INSERT INTO claim (id, transaction_id) SELECT * FROM unnest($1::text[], $2::uuid[])
"""

INSERT_LOTS = """
    INSERT INTO lot (owner_id, unit, seq, first, size, kind, source_id, price, currency)
    SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[],
                         $6::smallint[], $7::uuid[], $8::bigint[], $9::text[])
"""

INSERT_WITHDRAWALS = """
    INSERT INTO withdrawal (owner_id, unit, seq, first, size)
    SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[])
"""

INSERT_PERSONAL = """
    INSERT INTO personal_data (transaction_id, owner_id, salt, value)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[])
"""

# A hold ends once: the row that is not open is not found, and the count tells.
SAVE_HOLDS = """
    INSERT INTO hold AS h (owner_id, hold_id, unit, amount, state, create_time, end_time)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::smallint[], $4::bigint[], $5::smallint[],
                         $6::timestamptz[], $7::timestamptz[])
        ON CONFLICT (owner_id, hold_id) DO UPDATE
       SET state = excluded.state, end_time = excluded.end_time
     WHERE h.state = 1
    RETURNING 1
"""


def columns(rows: Iterable[Sequence[Any]]) -> Iterable[Sequence[Any]]:
    """Rows turned into the arrays that a statement unnests."""
    return zip(*rows, strict=True)


async def save_extras(connection: Connection, draft: Draft) -> None:
    """Writes what the draft holds beside transactions, entries and balances."""
    if draft.owners:
        await connection.execute(SAVE_OWNERS, *columns(map(_owner, draft.owners.values())))
    if draft.claims:
        claims = sorted(draft.claims.items())  # so that two batches never wait for each other
        await connection.execute(INSERT_CLAIMS, *columns(claims))
    if draft.lots:
        await connection.execute(INSERT_LOTS, *columns(map(_lot, draft.lots)))
    if draft.withdrawals:
        await connection.execute(INSERT_WITHDRAWALS, *columns(draft.withdrawals))
    if draft.personal:
        await connection.execute(INSERT_PERSONAL, *columns(map(_personal, draft.personal)))
    if draft.holds:
        await _save_holds(connection, list(draft.holds.values()))


async def _save_holds(connection: Connection, holds: Sequence[Hold]) -> None:
    saved = await connection.fetch(SAVE_HOLDS, *columns(map(_hold, holds)))
    if len(saved) != len(holds):
        raise RuntimeError(f"{len(saved)} holds saved instead of {len(holds)}")


def _owner(owner: Owner) -> tuple[Any, ...]:
    return owner.owner_id, owner.status, owner.country, owner.adult_from, owner.create_time


def _lot(lot: Lot) -> tuple[Any, ...]:
    grant = lot.grant
    minted = (lot.owner_id, lot.unit, lot.seq, lot.first, lot.size)
    return *minted, grant.kind, grant.source_id, grant.price, grant.currency


def _personal(pair: tuple[str, Personal]) -> tuple[Any, ...]:
    transaction_id, personal = pair
    value = personal.value if personal.shown else None
    return transaction_id, personal.owner_id, personal.salt, value


def _hold(hold: Hold) -> tuple[Any, ...]:
    placed = (hold.owner_id, hold.hold_id, hold.unit, hold.amount)
    return *placed, hold.state, hold.create_time, hold.end_time


INSERT_MONEY_MOVEMENTS = """
    INSERT INTO money_movement (transaction_id, subject_id, provider, reference, currency,
                                minor_units, create_time)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                         $7::timestamptz[])
"""


async def insert_money_movements(connection: Connection, rows: Sequence[MoneyMovement]) -> None:
    """Real money that moved, for top-ups and redemptions; never changed once it is written."""
    await connection.execute(INSERT_MONEY_MOVEMENTS, *columns(rows))
