"""Commands that redeem diamonds."""

import click

from giftpay.cli.options import INT64, dry_run_option, key_option, pass_session
from giftpay.cli.session import Session
from giftpay.money import parse_money
from giftpay.v1 import (
    CancelRedemptionRequest,
    CreateRedemptionRequest,
    GetRedemptionRequest,
    Money,
    QuoteRedemptionRequest,
)


@click.group()
def redeem() -> None:
    """Redeem diamonds for money."""


@redeem.command()
@click.argument("diamonds", type=INT64)
@click.argument("currency")
@pass_session
def quote(session: Session, *, diamonds: int, currency: str) -> None:
    """Show what DIAMONDS are worth in CURRENCY now."""
    request = QuoteRedemptionRequest(diamonds=diamonds, currency_code=currency)
    with session.client() as client:
        answer = client.redemptions.QuoteRedemption(request)
    session.show(answer)


@redeem.command()
@click.argument("owner")
@click.argument("diamonds", type=INT64)
@click.argument("currency")
@click.argument("destination")
@click.option("--expect", type=parse_money, metavar="MONEY", help='Only if "EUR 9.75" is paid out.')
@dry_run_option
@key_option
@pass_session
def create(
    session: Session,
    *,
    owner: str,
    diamonds: int,
    currency: str,
    destination: str,
    expect: Money | None,
    dry_run: bool,
    key: str | None,
) -> None:
    """Pay DIAMONDS of OWNER out to DESTINATION in CURRENCY."""
    request = CreateRedemptionRequest(
        owner_id=owner,
        diamonds=diamonds,
        currency_code=currency,
        destination=destination,
        expected_amount=expect,
        validate_only=dry_run,
    )
    with session.client() as client:
        answer = client.redemptions.CreateRedemption(session.keyed(request, key))
    session.show(answer)


@redeem.command()
@click.argument("redemption")
@pass_session
def show(session: Session, *, redemption: str) -> None:
    """Show REDEMPTION."""
    with session.client() as client:
        answer = client.redemptions.GetRedemption(GetRedemptionRequest(redemption_id=redemption))
    session.show(answer)


@redeem.command()
@click.argument("redemption")
@key_option
@pass_session
def cancel(session: Session, *, redemption: str, key: str | None) -> None:
    """Cancel REDEMPTION, if nothing was sent to the provider yet."""
    request = CancelRedemptionRequest(redemption_id=redemption)
    with session.client() as client:
        answer = client.redemptions.CancelRedemption(session.keyed(request, key))
    session.show(answer)
