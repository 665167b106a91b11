"""The journal's SQL for writing a batch, with few statements over arrays."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, SystemAccount, Unit

from giftpay_server.journal.columns import Columns, transposed
from giftpay_server.journal.store import Tables
from giftpay_server.ledger.model import (
    Account,
    AccountKey,
    Draft,
    Entry,
    Hold,
    HoldState,
    MoneyMovement,
    PersonalField,
    Row,
    Transaction,
)
from giftpay_server.postgres.pool import Connection
from giftpay_server.protobuf import short_name

ANY_VERSION = -1  # of a stripe, which is added to without a version check

TRANSACTION = Columns(
    "id uuid, caller text, kind smallint, request bytea, reason smallint, answer bytea,"
    " catalog_version integer, entries text"
)
ENTRY = Columns(
    "owner_id text, unit smallint, seq bigint, transaction_id uuid, system_account smallint,"
    " amount bigint, balance bigint",
    system_account="system",
)
MOVED = Columns(
    "owner_id text, unit smallint, balance bigint, held bigint, seq bigint, spent bigint,"
    " floor bigint, taken bigint, version bigint"
)
FIRST_TRANSACTION = 8  # parameter
FIRST_ENTRY = FIRST_TRANSACTION + len(TRANSACTION)
FIRST_MOVED = FIRST_ENTRY + len(ENTRY)

WRITE = f"""
    WITH new_transaction AS (
        INSERT INTO transactions ({TRANSACTION.names}, create_time)
        SELECT t.*, $1
          FROM unnest({TRANSACTION.text_parameters(first=FIRST_TRANSACTION)}) AS t
    ), new_entry AS (
        INSERT INTO entry ({ENTRY.names}, create_time)
        SELECT {ENTRY.names}, coalesce(late_time, $1)
          FROM unnest({ENTRY.text_parameters(first=FIRST_ENTRY)}, $7::timestamptz[])
               AS e ({ENTRY.names}, late_time)
    ), moved AS (
        -- A stripe is added to, also concurrently; an account becomes what was decided.
        UPDATE account a
           SET balance = n.balance + CASE WHEN n.version = {ANY_VERSION} THEN a.balance ELSE 0 END,
               seq = n.seq + CASE WHEN n.version = {ANY_VERSION} THEN a.seq ELSE 0 END,
               held = n.held, spent = n.spent, floor = n.floor, taken = n.taken,
               entry_time = greatest(a.entry_time, $1), version = $2
          FROM unnest({MOVED.text_parameters(first=FIRST_MOVED)}) AS n ({MOVED.names})
         WHERE a.owner_id = n.owner_id AND a.unit = n.unit
           AND n.version IN (a.version, {ANY_VERSION})
        RETURNING 1
    )
    SELECT assert_writable(
               (SELECT count(*) FROM moved) = $3
               AND coalesce((SELECT etag FROM catalog ORDER BY version DESC LIMIT 1), 0) = $4,
               $5, $6
           )
"""


class Prepared(NamedTuple):
    """The write of a batch, ready to be sent."""

    parameters: Sequence[Any]  # of WRITE
    versions: Sequence[int]  # as read, of its accounts in the order of its draft, then of stripes


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
) -> Prepared:
    """Prepares the write of a batch; its accounts get a new version.

    It is written `within` two times of Postgres' clock, or not at all. All rows are in the order of
    their keys, which prevents deadlocks between batches.
    """
    version = secrets.randbits(63)
    draft.accounts = dict(sorted(draft.accounts.items()))
    accounts = [*draft.accounts.values(), *_stripes(draft, stripe)]
    moved = _values(accounts)
    for account in draft.accounts.values():
        account.version = version
    parameters = [
        now,
        version,
        len(accounts),
        catalog_etag,
        *within,
        _entry_times(draft, now) if draft.late_entries else (),
        *TRANSACTION.texts(transposed(Transaction, sorted(draft.transactions))),
        *ENTRY.texts(transposed(Entry, draft.entries)),
        *MOVED.texts(moved),
    ]
    return Prepared(parameters, moved["version"])


async def write(connection: Connection, prepared: Prepared) -> None:
    """Writes a batch.

    Raises SerializationError if an account or the current catalog changed since it was read.
    """
    await connection.execute(WRITE, *prepared.parameters)


# One loop a column: this is most of the work for a large batch.
def _values(accounts: Sequence[Account]) -> Mapping[str, Sequence[Any]]:
    return {
        "owner_id": [each.owner_id for each in accounts],
        "unit": [each.unit for each in accounts],
        "balance": [each.balance for each in accounts],
        "held": [each.held for each in accounts],
        "seq": [each.seq for each in accounts],
        "spent": [each.spent for each in accounts],
        "floor": [each.floor for each in accounts],
        "taken": [each.taken for each in accounts],
        "version": [each.version for each in accounts],
    }


def _entry_times(draft: Draft, now: datetime) -> list[datetime]:
    return [draft.late_entries.get(number, now) for number in range(len(draft.entries))]


def _stripes(draft: Draft, stripe: int) -> Iterable[Account]:
    """The amounts to add to the stripes of the system accounts."""
    for (system, unit), (gained, entries) in sorted(draft.systems.items()):
        yield Account(
            owner_id=stripe_owner(system, stripe),
            unit=cast("Unit.ValueType", unit),
            balance=gained,
            seq=entries,
            version=ANY_VERSION,
        )


STRIPES = 1_024

READ_STRIPE = """
    SELECT count(*) FROM account WHERE owner_id = ANY($1::text[])
"""

OPEN_STRIPE = f"""
    INSERT INTO account (owner_id, unit)
    SELECT owner_id, unit
      FROM unnest($1::text[]) AS owner_id,
           unnest(ARRAY[{UNIT_COIN}, {UNIT_DIAMOND}]::smallint[]) AS unit
        ON CONFLICT DO NOTHING
"""


async def open_stripe(connection: Connection) -> int:
    """Picks a random stripe of the system accounts for a session, and creates it if need be.

    Two sessions may pick the same one: they then wait for each other's writes, and both are correct
    since a stripe is only added to.
    """
    stripe = secrets.randbelow(STRIPES)
    owners = sorted({owner for owner, _ in stripe_accounts(stripe)})
    # Read first: while a synchronous standby is away, an insert would wait for it.
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


OWNER = Columns(
    "owner_id text, status smallint, country text, adult_from date, create_time timestamptz,"
    " erasures integer"
)

SAVE_OWNERS = f"""
    INSERT INTO owner ({OWNER.names}) SELECT * FROM unnest({OWNER.parameters()})
        ON CONFLICT (owner_id) DO UPDATE
       SET status = excluded.status, adult_from = excluded.adult_from, erasures = excluded.erasures
"""


class Claim(NamedTuple):
    """A second unique key, and the transaction that took it."""

    id: str
    transaction_id: str


CLAIM = Columns("id text, transaction_id uuid")

INSERT_CLAIMS = f"""
    INSERT INTO claim ({CLAIM.names}) SELECT * FROM unnest({CLAIM.parameters()})
"""

LOT = Columns(
    "owner_id text, unit smallint, seq bigint, first bigint, size bigint, kind smallint,"
    " source_id uuid, price bigint, currency text",
    kind="grant.kind",
    source_id="grant.source_id",
    price="grant.price",
    currency="grant.currency",
)

INSERT_LOTS = f"""
    INSERT INTO lot ({LOT.names}) SELECT * FROM unnest({LOT.parameters()})
"""

WITHDRAWAL = Columns("owner_id text, unit smallint, seq bigint, first bigint, size bigint")

INSERT_WITHDRAWALS = f"""
    INSERT INTO withdrawal ({WITHDRAWAL.names}) SELECT * FROM unnest({WITHDRAWAL.parameters()})
"""


class PersonalRow(NamedTuple):
    """A personal field as it is stored."""

    transaction_id: str
    personal: PersonalField

    @property
    def value(self) -> str | None:
        return self.personal.value if self.personal.shown else None


PERSONAL = Columns(
    "transaction_id uuid, owner_id text, salt bytea, value text, generation integer",
    owner_id="personal.owner_id",
    salt="personal.salt",
    generation="personal.generation",
)

INSERT_PERSONAL = f"""
    INSERT INTO personal_data ({PERSONAL.names}) SELECT * FROM unnest({PERSONAL.parameters()})
"""

HOLD = Columns(
    "owner_id text, hold_id uuid, unit smallint, amount bigint, state smallint,"
    " create_time timestamptz, end_time timestamptz"
)

# A hold ends once: one that is not open is not updated, and then the count is too small.
SAVE_HOLDS = f"""
    INSERT INTO hold AS h ({HOLD.names}) SELECT * FROM unnest({HOLD.parameters()})
        ON CONFLICT (owner_id, hold_id) DO UPDATE
       SET state = excluded.state, end_time = excluded.end_time
     WHERE h.state = {HoldState.OPEN}
    RETURNING 1
"""


async def save_extras(connection: Connection, draft: Draft) -> None:
    """Writes what the draft has besides transactions, entries and balances."""
    claims = [Claim(each, by) for each, by in sorted(draft.claims.items())]  # see `prepare`
    personal = [PersonalRow(by, each) for by, each in draft.personal]
    for statement, columns, rows in (
        (SAVE_OWNERS, OWNER, draft.owners.values()),
        (INSERT_CLAIMS, CLAIM, claims),
        (INSERT_LOTS, LOT, draft.lots),
        (INSERT_WITHDRAWALS, WITHDRAWAL, draft.withdrawals),
        (INSERT_PERSONAL, PERSONAL, personal),
    ):
        if rows:
            await connection.execute(statement, *columns.arrays(list(rows)))
    if draft.holds:
        await _save_holds(connection, list(draft.holds.values()))


async def _save_holds(connection: Connection, holds: Sequence[Hold]) -> None:
    saved = await connection.fetch(SAVE_HOLDS, *HOLD.arrays(holds))
    if len(saved) != len(holds):
        raise RuntimeError(f"{len(saved)} holds saved instead of {len(holds)}")


MONEY_MOVEMENT = Columns(
    "transaction_id uuid, subject_id uuid, provider text, reference text, currency text,"
    " minor_units bigint, create_time timestamptz"
)

INSERT_MONEY_MOVEMENTS = f"""
    INSERT INTO money_movement ({MONEY_MOVEMENT.names})
    SELECT * FROM unnest({MONEY_MOVEMENT.parameters()})
"""


async def insert_money_movements(connection: Connection, rows: Sequence[MoneyMovement]) -> None:
    """Records real money that moved for top-ups and redemptions; rows are immutable."""
    await connection.execute(INSERT_MONEY_MOVEMENTS, *MONEY_MOVEMENT.arrays(rows))
