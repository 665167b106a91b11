"""The command line of the server."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import textwrap
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import uvloop

from giftpay_server.app import foundation, serving
from giftpay_server.config import SANDBOX_PORT, Config, from_environment
from giftpay_server.postgres.clock import ClockSkewError
from giftpay_server.postgres.embedded import EmbeddedPostgresError
from giftpay_server.postgres.faults import DATABASE_ERRORS
from giftpay_server.postgres.migrations import MigrationError
from giftpay_server.sandbox import BookError
from giftpay_server.setting_forms import ADDRESS, whole
from giftpay_server.settings import ConfigError, settings_of
from giftpay_server.supervisor import supervise

log = logging.getLogger(__name__)

TRY_NEXT = """\
  {giftpay} wallet open anna --country DE --age-verified
  {giftpay} top-up create anna eur-65  # and on as in client/README.md; or: make demo"""

PROCESSES = whole(1, 64, "processes")

# The failures of a start that an operator can fix.
CANNOT_START = (
    BookError,
    ClockSkewError,
    ConfigError,
    EmbeddedPostgresError,
    MigrationError,
    *DATABASE_ERRORS,
)


def main() -> int:
    """Runs a server until a signal stops it."""
    arguments = _arguments()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        processes = PROCESSES.read("--processes", arguments.processes)
        uvloop.run(_run(_config(arguments), processes, is_worker=arguments.worker))
    except CANNOT_START as error:
        # In one write, so that lines of several processes do not mix.
        sys.stderr.write(f"giftpay-server: {error or type(error).__name__}\n")
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="giftpay-server",
        description="Serves giftpay.",
        epilog=_listed_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("giftpay-server"))
    parser.add_argument("--listen", metavar="HOST:PORT", help="in place of GIFTPAY_LISTEN")
    parser.add_argument(
        "--insecure", action="store_true", help="allow an address that is not loopback"
    )
    parser.add_argument("--processes", default="1", metavar="N", help="1 to 64, default 1")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _listed_settings() -> str:
    """Lists each variable with its default, sentence and allowed values, within 80 columns."""
    lines = ["settings, in the environment:"]
    for each in settings_of(Config):
        lines += ["", f"  {each.variable}={each.default_text}"]
        text = f"{each.sentence} Allowed: {each.form.allowed}.".replace("`", "")
        lines += textwrap.wrap(text, 78, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def _config(arguments: argparse.Namespace) -> Config:
    environment = dict(os.environ)
    if arguments.listen:
        environment["GIFTPAY_LISTEN"] = ADDRESS.read("--listen", arguments.listen)
    if arguments.insecure:
        environment["GIFTPAY_INSECURE"] = "1"
    return replace(from_environment(environment), share_port=arguments.worker)


def _stop_without_parent(stopped: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin)  # a closed pipe stays readable
    stopped.set()


async def _run(config: Config, processes: int, *, is_worker: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if is_worker:
        # The parent holds the other end of this pipe, which is closed when the parent ends.
        loop.add_reader(sys.stdin, _stop_without_parent, stopped)
        await _serve(config, stopped)
        return
    embedded = not config.database_url
    async with foundation(config) as config:
        if processes > 1:
            await supervise(config, processes=processes, stopped=stopped)
        else:
            await _serve(config, stopped, is_greeting=embedded)


def greeting(config: Config, address: str) -> str:
    """The text printed at the start of a server with an embedded Postgres."""
    giftpay = os.path.relpath(Path(sys.executable).with_name("giftpay"))
    usual = {"TARGET": Config().listen, "SANDBOX_URL": f"http://127.0.0.1:{SANDBOX_PORT}"}
    actual = {"TARGET": address, "SANDBOX_URL": config.sandbox_url}
    exports = [f" GIFTPAY_{name}={actual[name]}" for name in usual if actual[name] != usual[name]]
    lines = [
        f"with a sandbox provider on {config.sandbox_url}",
        "Try next, in another terminal:",
        *(["  export" + "".join(exports)] if exports else []),
        TRY_NEXT.format(giftpay=giftpay),
    ]
    return "\n".join(lines)


def tune_gc() -> None:
    """Excludes long-lived objects from garbage collection, and makes collections rarer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _serve(config: Config, stopped: asyncio.Event, *, is_greeting: bool = False) -> None:
    try:
        async with serving(config) as server:
            tune_gc()
            if not config.share_port:
                print(f"giftpay serves on {server.address}", flush=True)
            if is_greeting:
                print(greeting(config, server.address), flush=True)
            await stopped.wait()
    except CANNOT_START as error:
        if not stopped.is_set():
            raise
        log.warning("stopped while the database was unreachable: %r", error)


if __name__ == "__main__":
    sys.exit(main())
