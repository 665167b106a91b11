"""The SQL of catalogs: each version is read once a process, since none ever changes."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import Catalog as CatalogMessage

from giftpay_server.catalog.rules import Catalog, CatalogVersion
from giftpay_server.ledger.books import Table
from giftpay_server.ledger.store import Tables
from giftpay_server.postgres.pool import Connection

KEPT_MAX = 100  # versions in memory

READ_CATALOG = """
    SELECT body FROM catalog WHERE version = $1
"""

CURRENT_VERSION = """
    SELECT max(version) FROM catalog
"""


class Catalogs:
    """The versions seen so far."""

    def __init__(self) -> None:
        self._by_version: dict[int, Catalog] = {}

    async def at(self, connection: Connection, version: int) -> Catalog | None:
        """One version; None if there is none, as version 0 before any was applied."""
        if version and version not in self._by_version:
            body = await connection.fetchval(READ_CATALOG, version)
            if body is not None:
                self._keep(Catalog.of(CatalogMessage.FromString(body)))
        return self._by_version.get(version)

    async def current(self, connection: Connection) -> Catalog | None:
        """The version that holds now; None before any was applied."""
        return await self.at(connection, await connection.fetchval(CURRENT_VERSION) or 0)

    def _keep(self, catalog: Catalog) -> None:
        if len(self._by_version) >= KEPT_MAX:
            del self._by_version[next(iter(self._by_version))]
        self._by_version[catalog.version] = catalog


INSERT_VERSIONS = """
    INSERT INTO catalog (version, transaction_id, create_time, body)
    SELECT * FROM unnest($1::integer[], $2::uuid[], $3::timestamptz[], $4::bytea[])
"""


async def insert_versions(connection: Connection, rows: Sequence[CatalogVersion]) -> None:
    """New versions; commands see the current one in the books.

    No lock orders two servers that apply at once: the number does. Whoever inserts it second
    fails, and the journal decides that batch again on top of the first one's catalog.
    """
    await connection.execute(INSERT_VERSIONS, *zip(*rows, strict=True))


TABLES: Tables = {CatalogVersion: Table(save=insert_versions)}
