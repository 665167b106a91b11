"""Classifies database errors by SQLSTATE: serialization conflict, lost connection, defect, ...

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from enum import Enum

import asyncpg

# Errors of a connection, not of a statement. asyncpg raises InternalClientError for a connection
# that ended in the middle of a message (https://github.com/MagicStack/asyncpg/issues/1069).
CONNECTION_ERRORS = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
DATABASE_ERRORS = (asyncpg.PostgresError, *CONNECTION_ERRORS)

# Our own SQLSTATEs, raised by assert_writable.
EXPIRED = "GPT01"
CLOCK_AHEAD = "GPT02"


class Fault(Enum):
    """The kind of a database error, and the response to it."""

    SERIALIZATION_CONFLICT = "serialization conflict, deadlock or used key: decide again"
    ROW_LOCKED = "lock time-out, another session has locked a row: let the others go on"
    STATEMENT_TIMEOUT = "a statement ran into its time-out"
    EXPIRED = "too late to be posted"
    CLOCK_AHEAD = "our clock is ahead of the database's: decide nothing"
    CONNECTION_LOST = "the connection is gone, or its server is read-only: open another"
    DATABASE_FAILING = "the database is full, out of memory or failing: wait"
    DEFECT = "a value or a rule is wrong: only the command at fault fails"


BY_STATE = {
    "23505": Fault.SERIALIZATION_CONFLICT,  # unique_violation: another session used the key
    "25006": Fault.CONNECTION_LOST,  # read_only_sql_transaction: a standby, or a former primary
    "25P03": Fault.CONNECTION_LOST,  # idle_in_transaction_session_timeout
    "55P03": Fault.ROW_LOCKED,  # lock_not_available
    "57014": Fault.STATEMENT_TIMEOUT,  # query_canceled
    EXPIRED: Fault.EXPIRED,
    CLOCK_AHEAD: Fault.CLOCK_AHEAD,
}
BY_CLASS = {
    "08": Fault.CONNECTION_LOST,  # connection exception
    "40": Fault.SERIALIZATION_CONFLICT,  # transaction rollback
    "53": Fault.DATABASE_FAILING,  # insufficient resources
    "55": Fault.DATABASE_FAILING,  # object not in prerequisite state
    "57": Fault.CONNECTION_LOST,  # operator intervention: shutdown, crash, still starting
    "58": Fault.DATABASE_FAILING,  # system error, such as an I/O error
}


def fault_of(error: BaseException) -> Fault:
    """The kind of an error raised by asyncpg or its connection; any other error is a defect."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate)
        return BY_STATE.get(state) or BY_CLASS.get(state[:2], Fault.DEFECT)
    # asyncpg raises an InterfaceError that is also a ValueError for a value that it cannot encode.
    if isinstance(error, ValueError):
        return Fault.DEFECT
    return Fault.CONNECTION_LOST if isinstance(error, CONNECTION_ERRORS) else Fault.DEFECT


def is_unavailable(error: BaseException) -> bool:
    """Whether the database was unavailable: what was in flight may or may not be committed."""
    return fault_of(error) in (
        Fault.STATEMENT_TIMEOUT,
        Fault.CONNECTION_LOST,
        Fault.DATABASE_FAILING,
    )
