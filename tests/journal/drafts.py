"""What a batch decided, as far as the feed asks."""

from __future__ import annotations

from giftpay.v1 import SYSTEM_ACCOUNT_ADJUSTMENT, UNIT_COIN
from giftpay_server.ledger.model import Draft, Entry


def moved(owner_id: str) -> Draft:
    """A batch with one entry, of the owner's coins."""
    return Draft(entries=[Entry(owner_id, UNIT_COIN, 1, "", SYSTEM_ACCOUNT_ADJUSTMENT, 1, 1)])
