"""The command line `giftpay`. It needs the extra `cli`."""

import io
import sys

from giftpay.cli.exit_codes import ExitCode


def main() -> None:
    """Run the command line, or print which packages are missing."""
    try:
        _run()
    except KeyboardInterrupt:  # before a command starts, or after it
        sys.exit(ExitCode.INTERRUPTED)


def _run() -> None:
    try:
        from giftpay.cli.commands import giftpay
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich"):
            raise
        print('The command line needs click and rich: pip install "giftpay[cli]"', file=sys.stderr)
        sys.exit(ExitCode.WRONG_USE)
    _write_any_text()
    giftpay()


def _write_any_text() -> None:
    # What the terminal's encoding lacks, such as an emoji in Latin-1, is written as an escape.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
