"""The command line `giftpay`. It needs the extra `cli`."""

import sys


def main() -> None:
    """Run the command line, or say what it lacks."""
    try:
        from giftpay.cli.commands import giftpay
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich"):
            raise
        print('The command line needs click and rich: pip install "giftpay[cli]"', file=sys.stderr)
        sys.exit(2)
    giftpay()
