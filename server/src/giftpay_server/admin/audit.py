"""Audits the books: runs all checks on one snapshot, and computes the trial balance.

It locks nothing, so that it may run beside the journal. It is bounded in memory, not in time: run a
whole audit of large books on a standby, since an old snapshot keeps vacuum from removing the dead
rows of accounts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from giftpay.v1 import (
    BrokenRow,
    GetTrialBalanceResponse,
    SystemAccount,
    SystemBalance,
    TrialBalance,
    Unit,
    VerifyLedgerResponse,
)

from giftpay_server.admin import checks as known
from giftpay_server.admin.checks.totals import OWNERS, UNITS, Total, Totals, sum_accounts
from giftpay_server.journal.check import STATEMENT_TIMEOUT_S, AuditCheck
from giftpay_server.postgres.clock import utc_now
from giftpay_server.postgres.pool import Connection, Pool
from giftpay_server.protobuf import short_name, timestamp

# Other sessions limit a statement to 5 s; here one may read whole tables. It uses one process, to
# leave the other cores free, and is planned for the value of `since`.
SESSION = f"""
    SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_S}s';
    SET LOCAL idle_in_transaction_session_timeout = '60s';
    SET LOCAL max_parallel_workers_per_gather = 0;
    SET LOCAL plan_cache_mode = force_custom_plan
"""

BEGINNING = datetime.fromtimestamp(0, UTC)

# The longest time from a row's timestamp to its commit: a minute, the session's time-outs and twice
# GIFTPAY_CLOCK_SKEW_MAX_S are together less than this.
SETTLING = timedelta(minutes=5)

# The time up to which everything is committed and visible: now, by our clock and by Postgres'; on a
# standby, what it has replayed; and before all open transactions, which may wait for a synchronous
# standby for hours. Read before the snapshot, so that no commit falls between the two.
READ_SETTLED = """
    SELECT least(
               now(),
               $1,
               CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END,
               (SELECT min(xact_start)
                  FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_xid IS NOT NULL)
           ) - $2::interval
"""

# As the login role, which may see its other sessions in pg_stat_activity.
AS_LOGIN = "SET LOCAL ROLE NONE"

READ_SCOPE = """
    SELECT (SELECT count(*) FROM entry WHERE create_time >= $1) AS entries,
           (SELECT count(*) FROM transactions WHERE create_time >= $1) AS transactions
"""

# Read after the snapshot, so that no valid row in it is later.
READ_LATEST = "SELECT greatest(clock_timestamp(), $1) + $2::interval"


async def trial_balance(pool: Pool) -> GetTrialBalanceResponse:
    """Sums all accounts by unit; owners and system accounts add up to zero."""
    async with _snapshot(pool) as connection:
        totals = await sum_accounts(connection)
    return GetTrialBalanceResponse(balances=[_of_unit(unit, totals) for unit in UNITS])


def _of_unit(unit: Unit.ValueType, totals: Totals) -> TrialBalance:
    systems = {
        system: totals.get((unit, short_name(SystemAccount, system)))
        for system in SystemAccount.values()
    }
    moved = {system: total.balance for system, total in systems.items() if total and total.entries}
    return TrialBalance(
        unit=unit,
        owners=totals.get((unit, OWNERS), Total(0, 0)).balance,
        system_accounts=[
            SystemBalance(system_account=system, balance=balance)
            for system, balance in moved.items()
        ],
        total=sum(total.balance for key, total in totals.items() if key[0] == unit),
    )


async def verify(
    pool: Pool,
    since: datetime | None,
    checks: Sequence[AuditCheck],
    *,
    clock: Callable[[], datetime] = utc_now,
    skew_max: timedelta = timedelta(seconds=5),
) -> VerifyLedgerResponse:
    """Checks what was written at or after `since` against everything before it; None: everything.

    Only without `since` it checks rows that do not record when they were written, and the sums over
    all entries: the diamonds that owners spent, and each system account. `clock` is the clock of
    decisions, and `skew_max` the bound of clock skew.
    """
    watermark = await _settled(pool, clock())
    async with _snapshot(pool) as connection:
        scope = await connection.fetchrow(
            READ_SCOPE, since or BEGINNING, timeout=STATEMENT_TIMEOUT_S
        )
        broken = await _first_broken(checks, connection, since)
        if broken is None:
            latest = await connection.fetchval(READ_LATEST, clock(), skew_max)
            broken = await _first_of(known.AHEAD_CHECKS, connection, latest)
    assert scope is not None  # it has no WHERE
    return VerifyLedgerResponse(
        clean=broken is None,
        broken=broken,
        watermark=timestamp(watermark) if broken is None else None,
        entries=scope["entries"],
        transactions=scope["transactions"],
    )


async def _settled(pool: Pool, now: datetime) -> datetime:
    """The time before which everything is committed and visible to later snapshots."""
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.execute(AS_LOGIN)
        settled: datetime = await connection.fetchval(READ_SETTLED, now, SETTLING)
        return settled


async def _first_broken(
    checks: Sequence[AuditCheck], connection: Connection, since: datetime | None
) -> BrokenRow | None:
    timed = [check for check in checks if not check.whole]
    whole = [check for check in checks if check.whole and since is None]
    return await _first_of((*timed, *whole, known.TOTAL), connection, since or BEGINNING)


async def _first_of(
    checks: Sequence[AuditCheck], connection: Connection, time: datetime
) -> BrokenRow | None:
    for check in checks:
        if broken := await check.first_broken(connection, time):
            return broken
    return None


@asynccontextmanager
async def _snapshot(pool: Pool) -> AsyncIterator[Connection]:
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(SESSION)
        yield connection
