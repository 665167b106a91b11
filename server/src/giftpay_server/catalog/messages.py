"""Makes a command of an ApplyCatalogRequest."""

from __future__ import annotations

import secrets
from functools import partial

from giftpay.v1 import TRANSACTION_KIND_APPLY_CATALOG, ApplyCatalogRequest, Catalog

from giftpay_server.catalog import rules
from giftpay_server.catalog.form import valid_catalog
from giftpay_server.ledger.model import Command
from giftpay_server.wire.commands import Asked


def apply_command(asked: Asked[ApplyCatalogRequest]) -> Command:
    """The command to apply a catalog; raises InvalidArgumentError naming its malformed fields."""
    valid_catalog(asked.request.catalog)
    _clear_output(asked.request.catalog)
    etag = secrets.randbits(62) + 1
    decide = partial(rules.apply_catalog, asked.request, asked.key, etag)
    return asked.command(TRANSACTION_KIND_APPLY_CATALOG, (), decide)


def _clear_output(catalog: Catalog) -> None:
    """Clears output fields, so that a catalog may be sent back as it was read."""
    catalog.ClearField("version")
    catalog.ClearField("create_time")
    for package in catalog.packages:
        package.ClearField("bonus_coins")
