"""The command `giftpay` with all its subcommands."""

from importlib.metadata import version

import click

from giftpay.cli import books, catalog, gift, redemption, top_up, wallet
from giftpay.cli.exit_codes import MEANINGS
from giftpay.cli.options import Seconds
from giftpay.cli.program import Program
from giftpay.cli.session import Session
from giftpay.client import TIMEOUT_S
from giftpay.target import DEFAULT_TARGET

EPILOG = f"""
Exit codes: {"; ".join(f"{code:d}, {meaning}" for code, meaning in MEANINGS.items())}.

Every command writes its key to the standard error before it is sent. Repeated with --key, it is
carried out once.
"""

SECONDS = Seconds(0, 86_400, min_open=True)


@click.group(cls=Program, epilog=EPILOG)
@click.option("--target", metavar="HOST:PORT", help=f"GIFTPAY_TARGET, or {DEFAULT_TARGET}.")
@click.option("--timeout", type=SECONDS, default=TIMEOUT_S, show_default=True, help="In seconds.")
@click.version_option(version("giftpay"), message="%(prog)s %(version)s")
@click.pass_context
def giftpay(context: click.Context, target: str | None, timeout: float) -> None:
    """Top up coins, send gifts, redeem diamonds."""
    context.obj = Session(target, timeout)


for command in (
    wallet.wallet,
    wallet.statement,
    gift.send,
    top_up.top_up,
    redemption.redeem,
    catalog.catalog,
    books.transaction,
    books.trace,
    books.verify,
    books.trial_balance,
):
    giftpay.add_command(command)
