"""Registers the catalog slice."""

from giftpay_server.catalog.checks import CHECKS
from giftpay_server.catalog.service import CatalogService
from giftpay_server.catalog.store import TABLES
from giftpay_server.registration import Slice

CATALOG = Slice(
    service_name="CatalogService",
    service=lambda parts: CatalogService(
        parts.journal, parts.pool, parts.reads, parts.catalogs, parts.clock
    ),
    tables=TABLES,
    checks=CHECKS,
)
