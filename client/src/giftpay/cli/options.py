"""Options that several commands share, and the types of their values."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import isnan
from typing import Any, TypeVar

import click
from google.protobuf.timestamp_pb2 import Timestamp

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Int64(click.types.IntParamType):
    """A whole number of 64 bits."""

    def convert(self, *given: Any) -> Any:
        """The number; the second and third argument are for the error message."""
        number = super().convert(*given)
        if not -(2**63) <= number < 2**63:
            self.fail(f"{number} has more than 64 bits.", *given[1:])
        return number


class Seconds(click.FloatRange):
    """A number of seconds within a range."""

    def convert(self, *given: Any) -> Any:
        """The number; click alone would accept nan."""
        seconds = super().convert(*given)
        if isnan(seconds):
            self.fail("nan is no time.", *given[1:])
        return seconds


INT64 = Int64()


def parse_time(text: str) -> Timestamp:
    """A point in time, in UTC if it has no offset; raises ValueError if it is malformed."""
    timestamp = Timestamp()
    try:
        time = datetime.fromisoformat(text)
        timestamp.FromDatetime(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(f'must be a time such as 2026-12-01T18:30:00Z, not "{text}"') from None
    return timestamp


def pass_session(command: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the session to a command, and add the option --json."""
    answer_with_json = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_answer_with_json,
        help="Answer with JSON, one message a line.",
    )
    return answer_with_json(click.pass_obj(command))


def _answer_with_json(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj = replace(context.obj, as_json=True)


def key_option(command: Decorated) -> Decorated:
    """Add the option --key."""
    return click.option(
        "--key", metavar="KEY", help="Repeat the command that was sent with this key."
    )(command)


def dry_run_option(command: Decorated) -> Decorated:
    """Add the option --dry-run."""
    return click.option(
        "--dry-run", is_flag=True, help="Only show what would happen; nothing is recorded."
    )(command)
