"""Commands on wallets and their statements."""

import click
from google.protobuf.timestamp_pb2 import Timestamp

from giftpay.cli.options import INT64, key_option, parse_time, pass_session
from giftpay.cli.session import Session
from giftpay.cli.statement_view import Statement
from giftpay.sync import SyncClient
from giftpay.v1 import (
    UNIT_COIN,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    GetWalletRequest,
    ListEntriesRequest,
    OpenWalletRequest,
    Unit,
    UpdateWalletRequest,
    WalletStatus,
)

UNITS = click.Choice(["coin", "diamond"])


@click.group()
def wallet() -> None:
    """Open, show, freeze and close wallets."""


@wallet.command("open")
@click.argument("owner")
@click.option("--country", required=True, metavar="CC", help="Two capital letters, such as DE.")
@click.option("--born", metavar="YYYY-MM-DD", help="The owner's date of birth.")
@click.option("--age-verified", is_flag=True, help="The owner is known to be 18 or older.")
@key_option
@pass_session
def open_wallet(
    session: Session,
    *,
    owner: str,
    country: str,
    born: str | None,
    age_verified: bool,
    key: str | None,
) -> None:
    """Open a wallet for OWNER."""
    if born and age_verified:
        raise click.UsageError("--born and --age-verified exclude one another.")
    request = OpenWalletRequest(owner_id=owner, country_code=country)
    if born:
        request.date_of_birth = born
    elif age_verified:
        request.age_verified = True
    with session.client() as client:
        answer = client.wallets.OpenWallet(session.keyed(request, key))
    session.show(answer)


@wallet.command()
@click.argument("owner")
@click.option("--as-of", type=parse_time, metavar="TIME", help="The wallet as of this time; UTC.")
@pass_session
def show(session: Session, owner: str, as_of: Timestamp | None) -> None:
    """Show the wallet of OWNER."""
    with session.client() as client:
        answer = client.wallets.GetWallet(GetWalletRequest(owner_id=owner, as_of_time=as_of))
    session.show(answer)


def add_change(name: str, status: WalletStatus.ValueType, summary: str) -> None:
    """Add the command that gives a wallet this status."""

    @wallet.command(name, help=summary)
    @click.argument("owner")
    @key_option
    @pass_session
    def change(session: Session, owner: str, key: str | None) -> None:
        request = UpdateWalletRequest(owner_id=owner, status=status)
        with session.client() as client:
            answer = client.wallets.UpdateWallet(session.keyed(request, key))
        session.show(answer)


add_change("freeze", WALLET_STATUS_FROZEN, "Freeze the wallet of OWNER.")
add_change("unfreeze", WALLET_STATUS_ACTIVE, "Unfreeze the wallet of OWNER.")
add_change("close", WALLET_STATUS_CLOSED, "Close the empty wallet of OWNER permanently.")


@click.command()
@click.argument("owner")
@click.option("--unit", type=UNITS, default="coin", show_default=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--after-seq", type=INT64, help="Oldest first, from the entry after this one.")
@click.option("--watch", is_flag=True, help="Oldest first, then new entries, until interrupted.")
@pass_session
def statement(
    session: Session, *, owner: str, unit: str, limit: int, after_seq: int | None, watch: bool
) -> None:
    """List the last entries of an account of OWNER, newest first."""
    account = Unit.Value(f"UNIT_{unit.upper()}")
    with session.client() as client:
        if watch:
            start = _before_last(client, owner, account, limit) if after_seq is None else after_seq
            session.print_text(Statement([]))
            for entry in client.watch(owner, account, after_seq=start):
                session.show(entry, Statement([entry], heads=False))
        else:
            request = ListEntriesRequest(
                owner_id=owner, unit=account, page_size=limit, after_seq=after_seq
            )
            answer = client.wallets.ListEntries(request)
            session.show(answer, Statement(answer.entries))


def _before_last(client: SyncClient, owner: str, unit: Unit.ValueType, count: int) -> int:
    """The seq before the last `count` entries."""
    wallet = client.wallets.GetWallet(GetWalletRequest(owner_id=owner)).wallet
    balance = wallet.coins if unit == UNIT_COIN else wallet.diamonds
    return max(0, balance.last_seq - count)
