"""From the wire to a command."""

from __future__ import annotations

import secrets
from functools import partial

from giftpay.v1 import TRANSACTION_KIND_APPLY_CATALOG, ApplyCatalogRequest, Catalog

from giftpay_server.catalog import rules
from giftpay_server.catalog.form import valid_catalog
from giftpay_server.ledger.model import Command
from giftpay_server.wire.fields import valid_number
from giftpay_server.wire.keys import transaction_id

VERSION_MAX = 2**31 - 1


def apply_command(request: ApplyCatalogRequest, *, caller: str) -> Command:
    """The command that a request asks for; the request becomes what is stored.

    Raises InvalidArgumentError naming the malformed fields.
    """
    key = transaction_id(request.idempotency_key, caller=caller)
    valid_number(request.expected_version, "expected_version", least=0, most=VERSION_MAX)
    valid_catalog(request.catalog)
    request.ClearField("idempotency_key")
    _clear_output(request.catalog)
    return Command(
        id=key,
        caller=caller,
        kind=TRANSACTION_KIND_APPLY_CATALOG,
        request=request,
        accounts=(),
        decide=partial(rules.apply_catalog, request, key, secrets.randbits(62) + 1),
    )


def _clear_output(catalog: Catalog) -> None:
    """So that a catalog as it was read may be sent back."""
    catalog.ClearField("version")
    catalog.ClearField("create_time")
    for package in catalog.packages:
        package.ClearField("bonus_coins")
