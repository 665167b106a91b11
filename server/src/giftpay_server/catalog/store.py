"""Reading catalogs: each version once a process, since none ever changes."""

from __future__ import annotations

from giftpay.v1 import Catalog as CatalogMessage

from giftpay_server.catalog.rules import Catalog
from giftpay_server.postgres.pool import Connection

READ_CATALOG = """
    SELECT body FROM catalog WHERE version = $1
"""


class Catalogs:
    """All versions seen so far."""

    def __init__(self) -> None:
        self._by_version: dict[int, Catalog] = {}

    async def at(self, connection: Connection, version: int) -> Catalog | None:
        """One version; None for version 0, before any was applied."""
        if version and version not in self._by_version:
            body = await connection.fetchval(READ_CATALOG, version)
            self._by_version[version] = Catalog.of(CatalogMessage.FromString(body))
        return self._by_version.get(version)
