"""Checks personal data against the erasures of its owners."""

from giftpay_server.journal.check import Check

ERASURE_OWNER = Check(
    name="erasure.owner",
    table="erasure",
    broken="""
        SELECT e.owner_id, e.generation, coalesce(o.erasures, 0) AS erasures
          FROM erasure e
          LEFT JOIN owner o ON o.owner_id = e.owner_id
         WHERE e.create_time >= $1 AND e.generation <> coalesce(o.erasures, 0) - 1
    """,
    key="owner_id",
    detail="format('expected the last of %s erasures, found generation %s', erasures, generation)",
)

# Visible text was written after the owner's last erasure, and not under a generation that does not
# exist yet. Rows without text are excepted: they are only compared with retries, and a refused
# command of an owner without a wallet may be written after a wallet was opened and erased.
PERSONAL_GENERATION = Check(
    name="personal_data.generation",
    table="personal_data",
    broken="""
        SELECT p.transaction_id, p.generation, coalesce(o.erasures, 0) AS erasures
          FROM shown_personal_data p
          LEFT JOIN owner o ON o.owner_id = p.owner_id
         WHERE p.generation > coalesce(o.erasures, 0)
            OR p.generation < o.erasures AND p.value IS NOT NULL
    """,
    key="transaction_id",
    detail="format('expected to show generation %s alone, found %s', erasures, generation)",
    whole=True,
)

CHECKS = (ERASURE_OWNER, PERSONAL_GENERATION)
