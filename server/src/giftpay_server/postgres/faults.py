"""What kind of failure an error of the database is, by the class of its SQLSTATE.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from enum import Enum

import asyncpg

# Of a connection, and not of a statement. InternalClientError is what asyncpg says of one whose end
# it has read in part (https://github.com/MagicStack/asyncpg/issues/1069).
CONNECTION_ERRORS = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
DATABASE_ERRORS = (asyncpg.PostgresError, *CONNECTION_ERRORS)

# Our own, raised by assert_writable.
LATE = "GPT01"
AHEAD = "GPT02"


class Fault(Enum):
    """What is to be done about an error."""

    LOST_RACE = "serialization conflict, deadlock or used key: decide again"
    HELD = "another session holds a row: let the others go on"
    SLOW = "a statement ran into its time-out"
    LATE = "too late to be posted"
    AHEAD = "our clock is ahead of the database's: decide nothing"
    LOST = "the connection is gone, or its server does not take writes: open another"
    CONDITION = "the database is full, out of memory or failing: wait"
    DEFECT = "a value or a rule is wrong: only the command at fault fails"


BY_STATE = {
    "23505": Fault.LOST_RACE,  # unique_violation: somebody else used the key
    "25006": Fault.LOST,  # read_only_sql_transaction: a standby, or a primary that became one
    "25P03": Fault.LOST,  # idle_in_transaction_session_timeout
    "55P03": Fault.HELD,  # lock_not_available
    "57014": Fault.SLOW,  # query_canceled
    LATE: Fault.LATE,
    AHEAD: Fault.AHEAD,
}
BY_CLASS = {
    "08": Fault.LOST,  # connection exception
    "40": Fault.LOST_RACE,  # transaction rollback
    "53": Fault.CONDITION,  # insufficient resources
    "55": Fault.CONDITION,  # object not in prerequisite state
    "57": Fault.LOST,  # operator intervention: shutdown, crash, still starting
    "58": Fault.CONDITION,  # system error, such as of input and output
}


def fault_of(error: BaseException) -> Fault:
    """The kind of an error of asyncpg or of the connection below it; any other is a defect."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate)
        return BY_STATE.get(state) or BY_CLASS.get(state[:2], Fault.DEFECT)
    # What asyncpg raises for a value that it cannot send is an InterfaceError as well.
    if isinstance(error, ValueError):
        return Fault.DEFECT
    return Fault.LOST if isinstance(error, CONNECTION_ERRORS) else Fault.DEFECT


def is_unavailable(error: BaseException) -> bool:
    """Whether the database could not serve: what was under way may or may not be done."""
    return fault_of(error) in (Fault.SLOW, Fault.LOST, Fault.CONDITION)
