"""The SQL of catalogs, and a cache of them by etag."""

from __future__ import annotations

from collections.abc import Sequence

from giftpay.v1 import Catalog as CatalogMessage

from giftpay_server.catalog.rules import Catalog, CatalogVersion
from giftpay_server.journal.columns import Columns
from giftpay_server.journal.store import Table, Tables
from giftpay_server.postgres.pool import Connection

KEPT_MAX = 100  # catalogs in memory

READ_CATALOG = """
    SELECT body FROM catalog WHERE etag = $1 AND version = $2
"""

# The cache needs the etag, not only the version: after a restore from a backup, version 2 may be
# applied again with other contents.
READ_ETAG = """
    SELECT etag FROM catalog WHERE version = $1
"""

CURRENT = """
    SELECT version, etag FROM catalog ORDER BY version DESC LIMIT 1
"""


class Catalogs:
    """A cache of the catalogs read so far."""

    def __init__(self) -> None:
        self._by_etag: dict[int, Catalog] = {}

    async def known_as(self, connection: Connection, version: int, etag: int) -> Catalog | None:
        """A catalog; None if there is none, such as version 0, before any was applied."""
        if version and etag not in self._by_etag:
            body = await connection.fetchval(READ_CATALOG, etag, version)
            if body is not None:
                self._keep(Catalog.of(CatalogMessage.FromString(body), etag=etag))
        return self._by_etag.get(etag)

    async def at(self, connection: Connection, version: int) -> Catalog | None:
        """A version; None if there is none."""
        etag = await connection.fetchval(READ_ETAG, version)
        return await self.known_as(connection, version, etag or 0)

    async def current(self, connection: Connection) -> Catalog | None:
        """The current version; None before any was applied."""
        found = await connection.fetchrow(CURRENT)
        if found is None:
            return None
        return await self.known_as(connection, found["version"], found["etag"])

    def _keep(self, catalog: Catalog) -> None:
        if len(self._by_etag) >= KEPT_MAX:
            del self._by_etag[next(iter(self._by_etag))]
        self._by_etag[catalog.etag] = catalog


VERSION = Columns(
    "version integer, transaction_id uuid, create_time timestamptz, etag bigint, body bytea"
)

INSERT_VERSIONS = f"""
    INSERT INTO catalog ({VERSION.names}) SELECT * FROM unnest({VERSION.parameters()})
"""


async def insert_versions(connection: Connection, rows: Sequence[CatalogVersion]) -> None:
    """Inserts new versions.

    Two servers that apply at once take no lock: the second insert violates the primary key, and the
    journal decides that batch again on the first one's catalog.
    """
    await connection.execute(INSERT_VERSIONS, *VERSION.arrays(rows))


TABLES: Tables = {CatalogVersion: Table(save=insert_versions)}
