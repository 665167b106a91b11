"""The program around its commands: maps each way to end to a message and an exit code."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.exceptions import Exit

from giftpay.cli.exit_codes import ExitCode


class Program(click.Group):
    """The command group; every exception of a command ends the program with its exit code."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **options: Any
    ) -> click.Context:
        """Parse the arguments of the program."""
        with _ended():
            _check_utf8(args)
            return super().make_context(info_name, args, *rest, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
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
    except OSError as error:  # of the output: other failures have errors of their own
        _discard_output()
        if not isinstance(error, BrokenPipeError):  # such as `| head`, which has read enough
            complain(f"The output cannot be written: {error.strerror}.")
        raise Exit(ExitCode.UNWRITTEN) from None
    except Exception as defect:
        complain(f"defect of this program, please report it: {_described(defect)}")
        raise Exit(ExitCode.UNANSWERED) from None


def _check_utf8(args: Sequence[str]) -> None:
    """Raise UsageError for arguments that are not UTF-8, which a message cannot contain."""
    given = {f"argument {number}": text for number, text in enumerate(args, 1)}
    given |= {name: text for name, text in os.environ.items() if name.startswith("GIFTPAY_")}
    for name, text in given.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{name} is not UTF-8: {os.fsencode(text)!r}") from None


def complain(sentence: str) -> None:
    """Print an error if possible; the exit code reports it in any case."""
    with _unless_unwritable():
        click.echo(sentence, err=True)


@contextmanager
def _unless_unwritable() -> Iterator[None]:
    try:
        yield
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Drop buffered output, which Python would otherwise fail to write at its exit."""
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
