"""The sandbox as a process of its own: `python -m giftpay_server.sandbox --port 0 --book FILE`."""

import argparse
import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

from giftpay_server.sandbox import DEDUPE_WINDOW, BookError, running_sandbox
from giftpay_server.setting_forms import PORT_MAX, decimal, whole
from giftpay_server.settings import ConfigError

PORT = whole(0, PORT_MAX)
DEDUPE_DAYS = decimal(0, 3_650, "days")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m giftpay_server.sandbox",
        description="A fake payment and payout provider.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default="0", help="0 takes any free port")
    parser.add_argument("--book", type=Path, help="SQLite file of its records (default: in memory)")
    parser.add_argument(
        "--dedupe-days",
        default=str(DEDUPE_WINDOW.days),
        help="days for which a payout's key is remembered",
    )
    return parser.parse_args()


async def serve(chosen: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with running_sandbox(
        host=chosen.host,
        ports=[PORT.read("--port", chosen.port)],
        book=chosen.book,
        dedupe_window=timedelta(days=DEDUPE_DAYS.read("--dedupe-days", chosen.dedupe_days)),
    ) as url:
        print(f"listening on {url}", flush=True)
        await stopped.wait()


def main() -> int:
    """Runs a sandbox until it is stopped; 2 where it cannot start."""
    try:
        asyncio.run(serve(arguments()))
    except (BookError, ConfigError, OSError) as error:
        print(f"giftpay_server.sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
