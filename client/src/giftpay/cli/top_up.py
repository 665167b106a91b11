"""Commands that order and confirm top-ups."""

import json
import shlex

import click

from giftpay.cli.exit_codes import ExitCode
from giftpay.cli.fields import enum_name
from giftpay.cli.options import dry_run_option, key_option, pass_session
from giftpay.cli.program import complain
from giftpay.cli.session import Session, program
from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    TOP_UP_STATE_PENDING,
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    GetTopUpRequest,
    PaymentProvider,
    TopUp,
    TopUpState,
)

PROVIDERS = click.Choice(["sandbox", "trusted"])
DEFAULT_SANDBOX = "http://127.0.0.1:50052"  # of a server with an embedded sandbox


@click.group("top-up")
def top_up() -> None:
    """Order coins, pay for them and have them credited."""


@top_up.command()
@click.argument("owner")
@click.argument("package")
@click.option("--provider", type=PROVIDERS, default="sandbox", show_default=True)
@dry_run_option
@key_option
@pass_session
def create(
    session: Session, *, owner: str, package: str, provider: str, dry_run: bool, key: str | None
) -> None:
    """Order PACKAGE for OWNER. Nothing is credited yet."""
    request = CreateTopUpRequest(
        owner_id=owner,
        package_id=package,
        provider=PaymentProvider.Value(f"PAYMENT_PROVIDER_{provider.upper()}"),
        validate_only=dry_run,
    )
    with session.client() as client:
        answer = client.top_ups.CreateTopUp(session.keyed(request, key))
    session.show(answer)


@top_up.command()
@click.argument("top_up_id", metavar="TOP_UP")
@pass_session
def show(session: Session, *, top_up_id: str) -> None:
    """Show the order TOP_UP."""
    with session.client() as client:
        answer = client.top_ups.GetTopUp(GetTopUpRequest(top_up_id=top_up_id))
    session.show(answer)


@top_up.command()
@click.argument("top_up_id", metavar="TOP_UP")
@click.option(
    "--sandbox",
    metavar="URL",
    envvar="GIFTPAY_SANDBOX_URL",
    default=DEFAULT_SANDBOX,
    help=f"GIFTPAY_SANDBOX_URL, or {DEFAULT_SANDBOX}.",
)
@click.pass_obj
def pay(session: Session, *, top_up_id: str, sandbox: str) -> None:
    """Print the commands that pay for TOP_UP at the sandbox and then confirm it."""
    with session.client() as client:
        order = client.top_ups.GetTopUp(GetTopUpRequest(top_up_id=top_up_id)).top_up
    if order.state != TOP_UP_STATE_PENDING:
        state = enum_name(TopUpState.DESCRIPTOR, order.state)
        complain(f"refused: the order {top_up_id} is {state}")
        raise click.exceptions.Exit(ExitCode.REFUSED)
    if order.provider == PAYMENT_PROVIDER_SANDBOX:
        click.echo(_payment(order, sandbox))
    click.echo(f"{program()} top-up confirm {top_up_id} {top_up_id}")


def _payment(order: TopUp, sandbox: str) -> str:
    payment = {
        "reference": order.top_up_id,
        "currency": order.price.currency_code,
        "minor_units": order.price.minor_units,
    }
    return shlex.join(["curl", "-d", json.dumps(payment), f"{sandbox}/payments"])


@top_up.command()
@click.argument("top_up_id", metavar="TOP_UP")
@click.argument("reference")
@key_option
@pass_session
def confirm(session: Session, *, top_up_id: str, reference: str, key: str | None) -> None:
    """Credit the coins of TOP_UP, which the payment REFERENCE paid for."""
    request = ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=reference)
    with session.client() as client:
        answer = client.top_ups.ConfirmTopUp(session.keyed(request, key))
    session.show(answer)


@top_up.command()
@click.argument("top_up_id", metavar="TOP_UP")
@key_option
@pass_session
def cancel(session: Session, *, top_up_id: str, key: str | None) -> None:
    """Cancel the unpaid order TOP_UP."""
    request = CancelTopUpRequest(top_up_id=top_up_id)
    with session.client() as client:
        answer = client.top_ups.CancelTopUp(session.keyed(request, key))
    session.show(answer)
