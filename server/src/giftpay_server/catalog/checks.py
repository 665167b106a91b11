"""The audit checks of catalogs."""

from functools import partial

from giftpay.v1 import TRANSACTION_KIND_APPLY_CATALOG

from giftpay_server.journal.check import Check, of_transaction
from giftpay_server.journal.sql import POSTED

of_catalog = partial(Check, table="catalog", key="version")

TRANSACTION_CATALOG = of_transaction(
    name="transaction.catalog_version",
    broken="""
        SELECT t.id, t.catalog_version
          FROM transactions t
          LEFT JOIN catalog c ON c.version = t.catalog_version
         WHERE t.create_time >= $1 AND t.catalog_version <> 0 AND c.version IS NULL
    """,
    detail="format('expected a catalog %s, found none', catalog_version)",
)

CATALOG_TRANSACTION = of_catalog(
    name="catalog.transaction",
    broken=f"""
        SELECT c.version, c.transaction_id
          FROM catalog c
          LEFT JOIN transactions t
            ON t.id = c.transaction_id AND t.kind = {TRANSACTION_KIND_APPLY_CATALOG}
           AND t.reason = {POSTED} AND t.create_time = c.create_time
         WHERE c.create_time >= $1 AND t.id IS NULL
    """,
    detail="format('expected it of %s, found none', transaction_id)",
)

CATALOG_VERSION = of_catalog(
    name="catalog.version",
    broken="""
        SELECT c.version
          FROM catalog c
          LEFT JOIN catalog p ON p.version = c.version - 1
         WHERE c.create_time >= $1 AND c.version > 1 AND p.version IS NULL
    """,
    detail="'expected the version before it, found none'",
)

CHECKS = (TRANSACTION_CATALOG, CATALOG_TRANSACTION, CATALOG_VERSION)
