"""The stripes of the system accounts: each session moves its own, and waits for no other."""

from __future__ import annotations

from giftpay.v1 import SystemAccount

from giftpay_server.ledger.names import short_name
from giftpay_server.postgres.pool import Connection

CLAIM_STRIPE = """
    SELECT n FROM generate_series(0, 1023) AS n
     WHERE pg_try_advisory_lock(7170, n)  -- 7170: giftpay's stripes; held as long as the session
     LIMIT 1
"""

OPEN_STRIPE = """
    INSERT INTO account (owner_id, unit)
    SELECT '~' || name || '~' || $2::integer, unit
      FROM unnest($1::text[]) AS name, unnest('{1,2}'::smallint[]) AS unit
        ON CONFLICT DO NOTHING
"""


async def claim_stripe(connection: Connection) -> int:
    """A number that no other session holds: its stripes of the system accounts are ours alone."""
    stripe = await connection.fetchval(CLAIM_STRIPE)
    names = [short_name(SystemAccount, system) for system in SystemAccount.values()[1:]]
    await connection.execute(OPEN_STRIPE, names, stripe)
    return int(stripe)


def stripe_owner(system: int, stripe: int) -> str:
    """The reserved owner id of one stripe of a system account, such as ~GIFT_SALES~3."""
    return f"~{short_name(SystemAccount, system)}~{stripe}"
