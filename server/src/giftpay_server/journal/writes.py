"""The journal's SQL of writing: what a batch decided, as few statements over arrays."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, SystemAccount

from giftpay_server.journal.store import Tables
from giftpay_server.ledger.model import (
    Account,
    AccountKey,
    Draft,
    Hold,
    Lot,
    MoneyMovement,
    Owner,
    Personal,
    Row,
)
from giftpay_server.postgres.pool import Connection
from giftpay_server.protobuf import short_name

READ_COLUMN = 24  # of what WRITE takes, counted from 0: the versions read
ANY_VERSION = -1  # in WRITE: of a stripe, which is added to as it is

WRITE = """
    WITH new_transaction AS (
        INSERT INTO transactions (id, caller, kind, request, reason, answer, catalog_version,
                                  entries, create_time)
        SELECT t.*, $1
          FROM unnest($2::text::uuid[], $3::text::text[], $4::text::smallint[], $5::bytea[],
                      $6::text::smallint[], $7::bytea[], $8::text::integer[], $9::text::text[]) AS t
    ), new_entry AS (
        INSERT INTO entry (owner_id, unit, seq, transaction_id, system_account, amount, balance,
                           create_time)
        SELECT e.owner_id, e.unit, e.seq, e.transaction_id, e.system_account, e.amount, e.balance,
               coalesce(e.late_time, $1)
          FROM unnest($10::text::text[], $11::text::smallint[], $12::text::bigint[],
                      $13::text::uuid[], $14::text::smallint[], $15::text::bigint[],
                      $16::text::bigint[], $31::timestamptz[])
               AS e (owner_id, unit, seq, transaction_id, system_account, amount, balance,
                     late_time)
    ), moved AS (
        -- A stripe is added to, whoever else adds to it; an account becomes what was decided.
        UPDATE account a
           SET balance = n.balance + CASE WHEN n.read = -1 THEN a.balance ELSE 0 END,
               seq = n.seq + CASE WHEN n.read = -1 THEN a.seq ELSE 0 END,
               held = n.held, spent = n.spent, floor = n.floor, taken = n.taken,
               entry_time = greatest(a.entry_time, $1), version = $26
          FROM unnest($17::text::text[], $18::text::smallint[], $19::text::bigint[],
                      $20::text::bigint[], $21::text::bigint[], $22::text::bigint[],
                      $23::text::bigint[], $24::text::bigint[], $25::text::bigint[])
               AS n (owner_id, unit, balance, held, seq, spent, floor, taken, read)
         WHERE a.owner_id = n.owner_id AND a.unit = n.unit AND n.read IN (a.version, -1)
        RETURNING 1
    )
    SELECT assert_writable(
               (SELECT count(*) FROM moved) = $27
               AND coalesce((SELECT etag FROM catalog ORDER BY version DESC LIMIT 1), 0) = $28,
               $29, $30
           )
"""


async def save_rows(connection: Connection, draft: Draft, tables: Tables) -> None:
    """Writes the slices' rows, one statement a kind."""
    changed: dict[type[Row], list[Row]] = {}
    for (kind, _), row in draft.rows.items():
        changed.setdefault(kind, []).append(row)
    for kind, rows in changed.items():
        await tables[kind].save(connection, rows)


def prepare(
    draft: Draft,
    *,
    now: datetime,
    within: tuple[datetime, datetime],
    stripe: int,
    catalog_etag: int,
) -> list[Any]:
    """What a batch decided, as `write` sends it; its accounts get the version of this batch.

    It is written `within` two times of Postgres' clock, or not at all. All is in the order of the
    keys, so that two batches never wait for each other's.
    """
    version = secrets.randbits(63)
    draft.accounts = dict(sorted(draft.accounts.items()))
    moved = [*map(_account, draft.accounts.values()), *_stripes(draft, stripe)]
    for account in draft.accounts.values():
        account.version = version
    return [
        now,
        *text_columns((row[:8] for row in sorted(draft.transactions)), width=8),
        *text_columns(draft.entries, width=7),
        *text_columns(moved, width=9),
        version,
        len(moved),
        catalog_etag,
        *within,
        _entry_times(draft, now) if draft.late_entries else (),
    ]


async def write(connection: Connection, prepared: Sequence[Any]) -> None:
    """Writes what a batch decided.

    Raises SerializationError if an account is not as it was read, or the catalog not the newest.
    """
    await connection.execute(WRITE, *prepared)


def read_versions(prepared: Sequence[Any]) -> list[int]:
    """The versions that a batch had read of its accounts, in the order of its draft."""
    return [int(version) for version in prepared[READ_COLUMN].strip("{}").split(",") if version]


def _account(account: Account) -> tuple[Any, ...]:
    return (
        account.owner_id,
        account.unit,
        account.balance,
        account.held,
        account.seq,
        account.spent,
        account.floor,
        account.taken,
        account.version,
    )


def _entry_times(draft: Draft, now: datetime) -> list[datetime]:
    return [draft.late_entries.get(number, now) for number in range(len(draft.entries))]


def _stripes(draft: Draft, stripe: int) -> Iterable[tuple[Any, ...]]:
    """What is added to the system accounts, as rows like those of accounts."""
    for (system, unit), (gained, entries) in sorted(draft.systems.items()):
        yield stripe_owner(system, stripe), unit, gained, 0, entries, 0, 0, 0, ANY_VERSION


# Whole numbers and text go as text where that is cheaper: asyncpg asks of each element of an array
# whether it might be an array itself, which costs three times what writing the array as text here
# and reading it in Postgres does. The statement says `$1::text::bigint[]`.
def text_columns(rows: Iterable[Sequence[Any]], *, width: int) -> list[Any]:
    """The columns of the rows: of whole numbers and of text as text, of bytes as they are."""
    columns = list(zip(*rows, strict=True)) or [()] * width
    return [column if _is_bytes(column) else text_array(column) for column in columns]


def _is_bytes(column: Sequence[Any]) -> bool:
    return bool(column) and isinstance(column[0], bytes)


def text_array(column: Sequence[Any]) -> str:
    """One column of whole numbers or of text, as Postgres reads an array."""
    if not column or not isinstance(column[0], str):
        return "{" + ",".join(map(str, column)) + "}"
    text = '","'.join(column)
    if "\\" in text or text.count('"') > 2 * (len(column) - 1):
        text = '","'.join(_escaped(item) for item in column)
    return '{"' + text + '"}'


def _escaped(item: str) -> str:
    return item.replace("\\", "\\\\").replace('"', '\\"')


STRIPES = 1_024

READ_STRIPE = """
    SELECT count(*) FROM account WHERE owner_id = ANY($1::text[])
"""

OPEN_STRIPE = """
    INSERT INTO account (owner_id, unit)
    SELECT owner_id, unit
      FROM unnest($1::text[]) AS owner_id, unnest('{1,2}'::smallint[]) AS unit
        ON CONFLICT DO NOTHING
"""


async def open_stripe(connection: Connection) -> int:
    """A stripe of the system accounts for this session, by chance.

    Another session may have the same one: a stripe is only added to, so that the two wait for each
    other, and both are right.
    """
    stripe = secrets.randbelow(STRIPES)
    owners = sorted({owner for owner, _ in stripe_accounts(stripe)})
    # A look first: with a synchronous standby away, an insert would wait for it.
    if await connection.fetchval(READ_STRIPE, owners) < len(stripe_accounts(stripe)):
        await connection.execute(OPEN_STRIPE, owners)
    return stripe


def stripe_accounts(stripe: int) -> set[AccountKey]:
    """The rows of one stripe, of all system accounts in both units."""
    owners = [stripe_owner(system, stripe) for system in SystemAccount.values()[1:]]
    return {(owner, unit) for owner in owners for unit in (UNIT_COIN, UNIT_DIAMOND)}


def stripe_owner(system: int, stripe: int) -> str:
    """The reserved owner id of one stripe of a system account, such as ~GIFT_SALES~3."""
    return f"~{short_name(SystemAccount, system)}~{stripe}"


SAVE_OWNERS = """
    INSERT INTO owner (owner_id, status, country, adult_from, create_time, erasures)
    SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::date[], $5::timestamptz[],
                         $6::integer[])
        ON CONFLICT (owner_id) DO UPDATE
       SET status = excluded.status, adult_from = excluded.adult_from, erasures = excluded.erasures
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
    INSERT INTO personal_data (transaction_id, owner_id, salt, value, generation)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::integer[])
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
    opened = (owner.owner_id, owner.status, owner.country)
    return *opened, owner.adult_from, owner.create_time, owner.erasures


def _lot(lot: Lot) -> tuple[Any, ...]:
    grant = lot.grant
    minted = (lot.owner_id, lot.unit, lot.seq, lot.first, lot.size)
    return *minted, grant.kind, grant.source_id, grant.price, grant.currency


def _personal(pair: tuple[str, Personal]) -> tuple[Any, ...]:
    transaction_id, personal = pair
    value = personal.value if personal.shown else None
    return transaction_id, personal.owner_id, personal.salt, value, personal.generation


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
