"""Applies the sample catalog, for a server with an embedded database."""

from __future__ import annotations

from pathlib import Path

from giftpay.catalog_file import load_catalog
from giftpay.v1 import ApplyCatalogRequest

from giftpay_server.catalog.messages import apply_command
from giftpay_server.journal.journal import Journal
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call

SAMPLE = Path(__file__).with_name("sample.toml")
LOADER = "~sample"  # outside the alphabet of callers


async def load_sample(journal: Journal) -> None:
    """Applies the sample unless a catalog was applied before; raises as `journal.record`.

    Its idempotency key is fixed: of servers that start at once one applies it, and a later start
    changes nothing, also with another sample.
    """
    request = ApplyCatalogRequest(
        idempotency_key="sample", catalog=load_catalog(SAMPLE), expected_version=0
    )
    await journal.record(apply_command(ask(request, Call(LOADER))))
