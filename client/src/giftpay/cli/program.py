"""The program around its commands: however it ends, with one sentence and the code for it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.exceptions import Exit

from giftpay.cli.exit_codes import ExitCode


class Program(click.Group):
    """The commands; whatever they raise ends the program as documented."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **options: Any
    ) -> click.Context:
        """Read the arguments of the whole program."""
        with _ended():
            _check_utf8(args)
            return super().make_context(info_name, args, *rest, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run the command that they name."""
        with _ended():
            return super().invoke(context)


@contextmanager
def _ended() -> Iterator[None]:
    try:
        yield
    except (Exit, click.Abort):
        raise
    except click.ClickException as wrong:
        with _unless_unwritable():
            wrong.show()
        raise Exit(ExitCode.WRONG_USE) from None
    except KeyboardInterrupt:
        raise Exit(ExitCode.INTERRUPTED) from None
    except OSError as error:  # whatever else fails on a device or a network has an error of its own
        _discard_output()
        if not isinstance(error, BrokenPipeError):  # as of `| head`, which has what it wants
            complain(f"The output cannot be written: {error.strerror}.")
        raise Exit(ExitCode.UNWRITTEN) from None
    except Exception as defect:
        complain(f"defect of this program, please report it: {_described(defect)}")
        raise Exit(ExitCode.UNANSWERED) from None


def _check_utf8(args: Sequence[str]) -> None:
    """Raise UsageError for bytes that are no text: Python passes them on, and no message can."""
    given = {f"argument {number}": text for number, text in enumerate(args, 1)}
    given |= {name: text for name, text in os.environ.items() if name.startswith("GIFTPAY_")}
    for name, text in given.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{name} is not UTF-8: {os.fsencode(text)!r}") from None


def complain(sentence: str) -> None:
    """Say what is wrong, if that can be written: the exit code says it as well."""
    with _unless_unwritable():
        click.echo(sentence, err=True)


@contextmanager
def _unless_unwritable() -> Iterator[None]:
    try:
        yield
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Drop what is still to be written, on which Python would fail once more at its end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def _described(defect: Exception) -> str:
    trace = defect.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno})" if trace else ""
    return f"{type(defect).__name__}: {defect}{where}"
