"""Global options, the connection to the server, output and error handling."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console, RenderableType

from giftpay.cli.exit_codes import ExitCode
from giftpay.cli.program import complain
from giftpay.cli.views import printed, view
from giftpay.errors import GiftpayError, Malformed, OutcomeUnknown, Refused
from giftpay.keys import Command, new_key
from giftpay.refusals import Internal
from giftpay.sync import SyncClient, connect_sync

Request = TypeVar("Request", bound=Command)


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command line."""

    target: str | None
    timeout: float
    as_json: bool = False

    @contextmanager
    def client(self) -> Iterator[SyncClient]:
        """A client; its errors are printed in one line and end the program with their exit code."""
        try:
            with ExitStack() as opened:
                yield self._connect(opened)
        except GiftpayError as error:
            complain(self._complaint(error))
            is_refused = isinstance(error, Refused)
            code = ExitCode.REFUSED if is_refused else ExitCode.UNANSWERED
            raise click.exceptions.Exit(code) from None

    def _connect(self, opened: ExitStack) -> SyncClient:
        try:
            return opened.enter_context(connect_sync(self.target, timeout=self.timeout))
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def keyed(self, request: Request, key: str | None) -> Request:
        """The request with this key or a new one. The key is printed first: a retry needs it."""
        request.idempotency_key = key or new_key()
        click.echo(f"key: {request.idempotency_key}", err=True)
        return request

    def show(self, answer: Message, *views: RenderableType) -> None:
        """Print an answer, as JSON or as these views, by default those of its fields."""
        if self.as_json:
            click.echo(as_json(answer))
        else:
            self.print_text(*(views or view(answer)))

    def print_text(self, *views: RenderableType) -> None:
        """Print views, unless the output is JSON."""
        if not self.as_json:
            console = Console(highlight=False, markup=False, emoji=False)
            with console.capture() as captured:
                console.print(*views)
            click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def _complaint(self, error: GiftpayError) -> str:
        reason = error.reason.removeprefix("ERROR_REASON_")
        if self.as_json:
            facts = {"reason": reason, "message": error.message, "metadata": dict(error.metadata)}
            return json.dumps({"error": {"kind": kind(error), **facts, "key": error.key}})
        named = " ".join([reason, *figures(error)])
        why = f"{named} ({sentences(error)})" if reason else sentences(error)
        retry = f" Repeat it with --key {error.key}" if isinstance(error, OutcomeUnknown) else ""
        return f"{kind(error)}: {why}{retry}"


def kind(error: GiftpayError) -> str:
    """The kind of an error, as it is printed."""
    match error:
        case Refused():
            return "refused"
        case OutcomeUnknown():
            return "outcome unknown"
        case Internal():
            return "server defect"
    return "unavailable"


def figures(error: GiftpayError) -> list[str]:
    """The figures of an error, unless its message repeats them."""
    if isinstance(error, Malformed):
        return []
    return [f"{name}={printed(figure)}" for name, figure in sorted(error.metadata.items())]


def sentences(error: GiftpayError) -> str:
    """The message of an error on one line."""
    if isinstance(error, Malformed) and error.violations:
        return printed("; ".join(sentence for _, sentence in error.violations))
    return printed(error.message.replace("\n", " "))


def program() -> str:
    """The command with which a shell can call this program again."""
    called, name = sys.argv[0], Path(sys.argv[0]).name
    return name if shutil.which(name) == called else shlex.quote(called)


def as_json(message: Message) -> str:
    """The message on one line, with the field names of the protos."""
    fields = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(fields, ensure_ascii=False)
