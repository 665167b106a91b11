"""The command that sends a gift."""

import click

from giftpay.cli.options import INT64, dry_run_option, key_option, pass_session
from giftpay.cli.session import Session
from giftpay.v1 import SendGiftRequest


@click.command()
@click.argument("sender")
@click.argument("recipient")
@click.argument("gift")
@click.option("--count", type=click.IntRange(1, 10_000), default=1, show_default=True)
@click.option("--message", default="", help="For the recipient to read.")
@click.option("--context", default="", metavar="PLACE", help="Where, such as live/123.")
@click.option("--combo", default="", metavar="ID", help="The combo that it belongs to.")
@click.option("--expect", type=INT64, metavar="COINS", help="Only if all costs exactly this.")
@dry_run_option
@key_option
@pass_session
def send(
    session: Session,
    *,
    sender: str,
    recipient: str,
    gift: str,
    count: int,
    message: str,
    context: str,
    combo: str,
    expect: int | None,
    dry_run: bool,
    key: str | None,
) -> None:
    """Send GIFT from SENDER to RECIPIENT."""
    request = SendGiftRequest(
        sender_id=sender,
        recipient_id=recipient,
        gift_id=gift,
        count=count,
        message=message,
        context=context,
        combo_id=combo,
        expected_coins=expect,
        validate_only=dry_run,
    )
    with session.client() as client:
        answer = client.gifts.SendGift(session.keyed(request, key))
    session.show(answer)
