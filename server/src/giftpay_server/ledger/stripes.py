"""The stripes of the system accounts: each session adds to its own, and rarely waits for others."""

from __future__ import annotations

import secrets

from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, SystemAccount

from giftpay_server.ledger.books import AccountKey
from giftpay_server.ledger.names import short_name
from giftpay_server.postgres.pool import Connection

STRIPES = 1_024

READ_STRIPE = """
    SELECT count(*) FROM account WHERE owner_id = ANY($1::text[])
"""

OPEN_STRIPE = """
    INSERT INTO account (owner_id, unit)
    SELECT owner_id, unit
      FROM unnest($1::text[]) AS owner_id, unnest('{1,2}'::smallint[]) AS unit
        ON CONFLICT DO NOTHING
"""


async def open_stripe(connection: Connection) -> int:
    """A stripe of the system accounts for this session, by chance.

    Another session may have the same one: a stripe is only added to, so that the two wait for each
    other, and both are right.
    """
    stripe = secrets.randbelow(STRIPES)
    owners = sorted({owner for owner, _ in stripe_accounts(stripe)})
    # A look first: with a synchronous standby away, an insert would wait for it.
    if await connection.fetchval(READ_STRIPE, owners) < len(stripe_accounts(stripe)):
        await connection.execute(OPEN_STRIPE, owners)
    return stripe


def stripe_accounts(stripe: int) -> set[AccountKey]:
    """The rows of one stripe, of all system accounts in both units."""
    owners = [stripe_owner(system, stripe) for system in SystemAccount.values()[1:]]
    return {(owner, unit) for owner in owners for unit in (UNIT_COIN, UNIT_DIAMOND)}


def stripe_owner(system: int, stripe: int) -> str:
    """The reserved owner id of one stripe of a system account, such as ~GIFT_SALES~3."""
    return f"~{short_name(SystemAccount, system)}~{stripe}"
