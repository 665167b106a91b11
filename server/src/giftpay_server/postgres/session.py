"""A connection that closes itself as soon as an error shows that it is unusable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from asyncpg.transaction import Transaction

from giftpay_server.postgres.faults import CONNECTION_ERRORS, Fault, fault_of

if TYPE_CHECKING:
    _Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

CLOSE_MAX_S = 1.0  # for the goodbye of a server, which may never come

ENDED = ("FATAL", "PANIC")  # after either the server ends the session


def is_unusable(error: BaseException) -> bool:
    """Whether the session that raised an error can no longer be used."""
    return fault_of(error) is Fault.CONNECTION_LOST or getattr(error, "severity_en", "") in ENDED


def _watched(statement: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @wraps(statement)
    async def run(session: Session, *args: Any, **options: Any) -> Any:
        try:
            return await statement(session, *args, **options)
        except Exception as error:
            await session.examine(error)
            raise

    return run


class Session(_Connection):
    """A connection that terminates itself and calls `on_loss` after an error of the connection."""

    __slots__ = ("on_loss",)

    on_loss: Callable[[], Awaitable[None]] | None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.on_loss = None

    execute = _watched(asyncpg.Connection.execute)
    executemany = _watched(asyncpg.Connection.executemany)
    fetch = _watched(asyncpg.Connection.fetch)
    fetchmany = _watched(asyncpg.Connection.fetchmany)
    fetchrow = _watched(asyncpg.Connection.fetchrow)
    fetchval = _watched(asyncpg.Connection.fetchval)

    def get_reset_query(self) -> str:
        """Nothing: what we set ends with its transaction, and each read would wait once more."""
        return ""

    async def examine(self, error: BaseException) -> None:
        """Closes the connection at once if the error means that it is unusable."""
        if is_unusable(error):
            self.terminate()
            if self.on_loss is not None:
                await self.on_loss()

    def transaction(
        self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False
    ) -> SessionTransaction:
        """A transaction whose errors are examined as well."""
        return SessionTransaction(self, isolation, readonly, deferrable)

    async def close(self, **options: float | None) -> None:
        """Closes gracefully, or forcibly after a second."""
        with suppress(*CONNECTION_ERRORS):
            await super().close(timeout=options.get("timeout") or CLOSE_MAX_S)


class SessionTransaction(Transaction):
    """A transaction that examines all errors in it, including those of cursors."""

    __slots__ = ("_session",)

    def __init__(self, session: Session, isolation: Any, readonly: bool, deferrable: bool) -> None:
        super().__init__(session, isolation, readonly, deferrable)
        self._session = session

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, BaseException):
            await self._session.examine(error)
            if self._session.is_closed():
                return  # Postgres rolls back by itself, and a ROLLBACK would hide the cause
        await super().__aexit__(kind, error, traceback)
