"""The command line of the server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from importlib.metadata import version

import uvloop

from giftpay_server.app import database, serving
from giftpay_server.config import Config, ConfigError, from_environment
from giftpay_server.postgres.embedded import EmbeddedPostgresError
from giftpay_server.postgres.migrations import MigrationError


def main() -> int:
    """Runs a server until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return uvloop.run(serve(_config(_arguments())))
    except (ConfigError, EmbeddedPostgresError, MigrationError) as error:
        print(f"giftpay-server: {error}", file=sys.stderr)
        return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="giftpay-server", description="Serves giftpay. All settings: docs/configuration.md."
    )
    parser.add_argument("--version", action="version", version=version("giftpay-server"))
    parser.add_argument("--listen", metavar="HOST:PORT", help="default 127.0.0.1:50051")
    parser.add_argument(
        "--insecure", action="store_true", help="allow an address that is not loopback"
    )
    return parser.parse_args()


def _config(arguments: argparse.Namespace) -> Config:
    environment = dict(os.environ)
    if arguments.listen:
        environment["GIFTPAY_LISTEN"] = arguments.listen
    if arguments.insecure:
        environment["GIFTPAY_INSECURE"] = "1"
    return from_environment(environment)


async def serve(config: Config) -> int:
    """One server process, from its database up."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with database(config) as dsn, serving(config, dsn) as server:
        print(f"giftpay serves on {server.address}", flush=True)
        await stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
