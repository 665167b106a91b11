"""What the database itself enforces: the privileges of the server's role, and CHECK constraints."""

from __future__ import annotations

import asyncpg
import pytest
from giftpay_server.postgres.pool import Pool, create_pool

COLUMNS = {"claim": "id", "lot": "size", "withdrawal": "size"}  # where it is not create_time


@pytest.mark.parametrize(
    "table", ["entry", "transactions", "claim", "lot", "withdrawal", "catalog", "money_movement"]
)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_servers_own_connections_cannot_change_the_past(
    database: str, table: str, statement: str
) -> None:
    column = COLUMNS.get(table, "create_time")
    sql = statement.format(table, column, column)
    async with create_pool(database, size=1) as pool:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(sql)
        assert await pool.fetchval("SELECT current_user") == "giftpay_server"


async def test_the_table_refuses_what_the_rules_should_never_send(
    admin: Pool, owners: list[str]
) -> None:
    for change in (
        "balance = -1",
        "held = 1",
        "floor = 1",
        "spent = -1",
        "taken = -1",
        f"balance = {10**18 + 1}",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await admin.execute(f"UPDATE account SET {change} WHERE owner_id = $1", owners[0])
