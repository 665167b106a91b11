"""The sandbox's book: its records and the pending steps of scripts, in one SQLite file."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from giftpay_server.sandbox.rules import Kind, Order, Record, State, Turn
from giftpay_server.sandbox.scripts import CallKind, Script

SCHEMA = """
    CREATE TABLE IF NOT EXISTS record (
        number        INTEGER PRIMARY KEY,
        kind          TEXT NOT NULL,
        id            TEXT NOT NULL,  -- not unique: a key may be used again after its window
        destination   TEXT CHECK ((destination IS NULL) = (kind = 'payment')),
        currency      TEXT NOT NULL,
        minor_units   INTEGER NOT NULL CHECK (minor_units > 0),
        state         TEXT NOT NULL,
        reason        TEXT,
        turn_state    TEXT,
        turn_reason   TEXT,
        turn_lookups  INTEGER,
        turn_after_ms INTEGER,
        submits       INTEGER NOT NULL CHECK (submits > 0),
        create_time   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS record_by_id ON record (kind, id, number);

    CREATE TABLE IF NOT EXISTS step (
        number INTEGER PRIMARY KEY,
        kind   TEXT NOT NULL,
        call   TEXT NOT NULL,
        match  TEXT,  -- NULL matches every call
        action TEXT NOT NULL
    ) STRICT;
"""

# Survives kill -9 without waiting for the disk; a fake need not survive a power cut.
SETTINGS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
"""


class BookError(Exception):
    """The file of a book cannot be used."""


class Book:
    """The sandbox's database: the file at `path`, or in memory without one.

    Each method is one statement in the calling thread, and so atomic for callers on one event loop.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            self._connection = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._connection.executescript(SETTINGS)
            self._connection.executescript(SCHEMA)
        except (sqlite3.Error, ValueError) as error:  # ValueError: a name that no file may have
            raise BookError(f"the sandbox's book {path} cannot be used: {error}") from error

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    INSERT_RECORD = """
        INSERT INTO record (kind, id, destination, currency, minor_units, state, reason,
                            turn_state, turn_reason, turn_lookups, turn_after_ms,
                            submits, create_time)
        VALUES (:kind, :id, :destination, :currency, :minor_units, :state, :reason,
                :turn_state, :turn_reason, :turn_lookups, :turn_after_ms,
                :submits, :create_time)
    """

    def add(self, record: Record) -> None:
        """Adds a record, now the newest with its id."""
        self._connection.execute(self.INSERT_RECORD, _row(record))

    UPDATE_NEWEST = """
        UPDATE record
           SET state = :state, reason = :reason,
               turn_state = :turn_state, turn_reason = :turn_reason,
               turn_lookups = :turn_lookups, turn_after_ms = :turn_after_ms,
               submits = :submits
         WHERE number = (SELECT max(number) FROM record WHERE kind = :kind AND id = :id)
    """

    def change(self, record: Record) -> None:
        """Updates the newest record with this id."""
        self._connection.execute(self.UPDATE_NEWEST, _row(record))

    SELECT_NEWEST = """
        SELECT * FROM record WHERE kind = ? AND id = ? ORDER BY number DESC LIMIT 1
    """

    def newest(self, kind: Kind, id: str) -> Record | None:
        """The newest record with this id, if there is one."""
        found = self._rows(self.SELECT_NEWEST, (kind, id))
        return _record(found[0]) if found else None

    SELECT_ALL = "SELECT * FROM record WHERE kind = ? ORDER BY number"

    def all(self, kind: Kind) -> list[Record]:
        """Every record of this kind, oldest first."""
        return [_record(row) for row in self._rows(self.SELECT_ALL, (kind,))]

    INSERT_STEPS = """
        INSERT INTO step (kind, call, match, action)
        SELECT ?, ?, ?, value FROM json_each(?) ORDER BY key
    """

    def add_script(self, script: Script) -> None:
        """Queues the steps of a script after those of earlier scripts."""
        self._connection.execute(
            self.INSERT_STEPS, (script.kind, script.call, script.match, json.dumps(script.steps))
        )

    TAKE_STEP = """
        DELETE FROM step
         WHERE number = (SELECT min(number) FROM step
                          WHERE kind = ? AND call = ? AND (match IS NULL OR match = ?))
        RETURNING action
    """

    def take_step(self, kind: Kind, call: CallKind, match: str | None) -> Any:
        """Removes and returns the oldest step that matches; None if there is none."""
        taken = self._rows(self.TAKE_STEP, (kind, call, match))
        return json.loads(taken[0]["action"]) if taken else None

    def _rows(self, statement: str, values: Sequence[str | None]) -> list[dict[str, Any]]:
        cursor = self._connection.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _row(record: Record) -> dict[str, str | int | None]:
    order, turn = record.order, record.turn
    return {
        "kind": order.kind,
        "id": order.id,
        "destination": order.destination,
        "currency": order.currency,
        "minor_units": order.minor_units,
        "state": record.state,
        "reason": record.reason,
        "turn_state": turn.state if turn else None,
        "turn_reason": turn.reason if turn else None,
        "turn_lookups": turn.lookups if turn else None,
        "turn_after_ms": turn.after // timedelta(milliseconds=1) if turn else None,
        "submits": record.submits,
        "create_time": record.create_time.isoformat(),
    }


def _record(row: dict[str, Any]) -> Record:
    return Record(
        order=Order(
            kind=Kind(row["kind"]),
            id=row["id"],
            destination=row["destination"],
            currency=row["currency"],
            minor_units=row["minor_units"],
        ),
        state=State(row["state"]),
        reason=row["reason"],
        turn=_turn(row) if row["turn_state"] else None,
        submits=row["submits"],
        create_time=datetime.fromisoformat(row["create_time"]),
    )


def _turn(row: dict[str, Any]) -> Turn:
    return Turn(
        state=State(row["turn_state"]),
        reason=row["turn_reason"],
        lookups=row["turn_lookups"],
        after=timedelta(milliseconds=row["turn_after_ms"]),
    )
