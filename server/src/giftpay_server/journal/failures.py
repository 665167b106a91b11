"""What a command ends with when it is not decided."""

from __future__ import annotations


class DatabaseUnavailableError(Exception):
    """The database is away or does not answer; the outcome may be unknown."""


class AccountBusyError(Exception):
    """Another session held a row of the owner for too long; this attempt decided nothing."""

    def __init__(self, owner_id: str) -> None:
        super().__init__(owner_id)
        self.owner_id = owner_id


class CommandFailedError(Exception):
    """A command that cannot be decided or written: a defect of ours, told as its cause."""
