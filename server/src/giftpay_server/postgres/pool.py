"""Opens connections and pools, as the role `giftpay_server` and with every time-out set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from giftpay_server.postgres.session import Session

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

SESSION = {
    "role": "giftpay_server",  # may not update or delete append-only rows
    "application_name": "giftpay-server",
    "default_transaction_isolation": "read committed",  # the journal's read after locking needs it
    "synchronous_commit": "on",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "jit": "off",
    "TimeZone": "UTC",
}

CONNECT_TIMEOUT_S = 3
COMMAND_TIMEOUT_S = 10  # above statement_timeout: for a server that does not answer at all

Connect: TypeAlias = "Callable[[], Awaitable[Connection]]"


def create_pool(dsn: str, *, size: int) -> AbstractAsyncContextManager[Pool]:
    """A pool that opens connections on demand and bounds each statement."""

    async def join(session: Connection) -> None:
        assert isinstance(session, Session)
        session.on_loss = pool.expire_connections

    pool: Pool = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=SESSION,
        connection_class=Session,
        init=join,
    )
    return pool


def connector(dsn: str, *, pool: Pool | None = None) -> Connect:
    """Returns a function that opens connections outside any pool, which never wait behind readers.

    If such a connection becomes unusable, those of the pool are replaced as well: they may belong
    to the same server, which is gone, or is a former primary that would answer with stale reads.
    """

    async def connect() -> Connection:
        session = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=SESSION,
            connection_class=Session,
        )
        session.on_loss = pool.expire_connections if pool is not None else None
        return session

    return connect


# A message in the write-ahead log alone. Its commit waits for the synchronous standby, and so for
# all earlier commits. Without such a standby, or on a standby itself, nothing is written.
MAKE_DURABLE = """
    SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' AND NOT pg_is_in_recovery()
                THEN pg_logical_emit_message(true, 'giftpay', '')
           END
"""


async def as_durable_as_a_commit(connection: Connection) -> None:
    """Returns once all that the connection has read is as durable as a commit.

    After crash recovery a primary shows commits that its synchronous standby may not have yet. To
    be called outside a transaction, since its own commit is what waits.
    """
    await connection.execute(MAKE_DURABLE)
