"""The databases of one run: one population, copied for each contender that writes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
from giftpay.v1 import Catalog, CatalogGift, CoinPackage, Money, Rational
from giftpay_server.postgres.migrations import migrate

from benchmarks.gifts import CREATORS, GIFT_ID, PACKAGE_ID, ZIPF_VIEWERS

COINS = 10**12  # of each viewer

TEMPLATE = "population"

INSERT_CATALOG = """
    INSERT INTO catalog (create_time, transaction_id, etag, version, body)
    VALUES (now(), gen_random_uuid(), 1, 1, $1)
"""

# Gifts, orders for coins and their payments.
COUNT_ACCEPTED = """
    SELECT count(*) FROM transactions WHERE kind IN (7, 4, 5) AND reason = 0
"""

UNBALANCED_UNITS = """
    SELECT unit, sum(balance) FROM account GROUP BY unit HAVING sum(balance) <> 0
"""

# Accounts that differ from their entries.
UNSOUND_ACCOUNTS = """
    SELECT count(*)
      FROM (SELECT owner_id, unit, count(*) AS entries, max(seq) AS seq, sum(amount) AS amount
              FROM entry GROUP BY owner_id, unit) AS e
      JOIN account a USING (owner_id, unit)
     WHERE (e.entries, e.seq, e.amount) IS DISTINCT FROM (a.seq, a.seq, a.balance)
"""


def named(dsn: str, name: str) -> str:
    """The DSN of another database of the same Postgres."""
    return dsn.replace("/giftpay?", f"/{name}?")


async def execute(dsn: str, *statements: str) -> None:
    """Runs statements one after the other, each in its own transaction."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def make_population(dsn: str) -> None:
    """Creates the database that the others are copies of."""
    await execute(dsn, f"CREATE DATABASE {TEMPLATE}")
    template = named(dsn, TEMPLATE)
    await migrate(template)
    await execute(template, sql("population.sql"), sql("functions.sql"))
    await _insert_catalog(template)
    await execute(template, "VACUUM ANALYZE")


async def copy_population(dsn: str, name: str) -> str:
    """A fresh copy, and its DSN."""
    await execute(dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return named(dsn, name)


async def make_naive(dsn: str) -> str:
    """The naive service's own tables, in a database of their own; its DSN."""
    await execute(dsn, "CREATE DATABASE naive")
    await execute(named(dsn, "naive"), sql("naive.sql"), "VACUUM ANALYZE")
    return named(dsn, "naive")


async def audit(dsn: str) -> tuple[int, list[str]]:
    """The number of accepted commands, and the faults of the books."""
    connection = await asyncpg.connect(dsn)
    try:
        faults = [
            f"unit {unit} is off by {by}" for unit, by in await connection.fetch(UNBALANCED_UNITS)
        ]
        if unsound := await connection.fetchval(UNSOUND_ACCOUNTS):
            faults.append(f"{unsound} accounts differ from their entries")
        return await connection.fetchval(COUNT_ACCEPTED), faults
    finally:
        await connection.close()


WEIGH = """
    SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS wal,
           ARRAY(SELECT (relname::text, pg_total_relation_size(oid))
                   FROM pg_class WHERE relname = ANY($1::text[]) AND relkind = 'r') AS tables
"""

GROWING = ("transactions", "entry", "gift_context", "personal_data")


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of the tables that only grow, indexes included, and of the WAL written so far."""

    wal: int
    tables: dict[str, int]


async def storage(dsn: str) -> Storage:
    """The current sizes."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(WEIGH, GROWING)
        assert row is not None
        return Storage(int(row["wal"]), {name: size for name, size in row["tables"]})
    finally:
        await connection.close()


DEADLOCKS = """
    SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()
"""


async def deadlocks(dsn: str) -> int:
    """The number of deadlocks in this database."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(DEADLOCKS))
    finally:
        await connection.close()


async def grow(dsn: str, gifts: int) -> None:
    """Writes gifts, distributed equally over viewers and creators."""
    connection = await asyncpg.connect(dsn)
    try:
        for number in range(gifts // CREATORS):
            await connection.execute("SELECT bulk_gifts($1, 0, $2)", CREATORS, number % CREATORS)
            await asyncio.sleep(0)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def sql(name: str) -> str:
    """A script of this package."""
    text = (files("benchmarks") / "sql" / name).read_text("utf-8")
    values = {"{viewers}": ZIPF_VIEWERS, "{creators}": CREATORS, "{coins}": COINS}
    for mark, value in values.items():
        text = text.replace(mark, str(value))
    return text


async def _insert_catalog(dsn: str) -> None:
    price = Money(currency_code="EUR", minor_units=139)
    catalog = Catalog(
        version=1,
        packages=[CoinPackage(package_id=PACKAGE_ID, price=price, coins=100)],
        gifts=[CatalogGift(gift_id=GIFT_ID, name="Rose", coins=1)],
        diamonds_per_coin=Rational(numerator=1, denominator=1),
        default_currency_code=price.currency_code,
    )
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(INSERT_CATALOG, catalog.SerializeToString())
    finally:
        await connection.close()
