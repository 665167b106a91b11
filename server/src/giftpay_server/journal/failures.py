"""Errors of commands that were not decided, or whose outcome is unknown."""

from __future__ import annotations


class DatabaseUnavailableError(Exception):
    """The database is away or does not answer; the outcome may be unknown."""


class AccountBusyError(Exception):
    """Another session locked a row of the owner for too long; this attempt decided nothing."""

    def __init__(self, owner_id: str) -> None:
        super().__init__(owner_id)
        self.owner_id = owner_id


class CommandFailedError(Exception):
    """A command that cannot be decided or written because of a defect, which is its __cause__."""
