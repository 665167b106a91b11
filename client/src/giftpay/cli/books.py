"""Commands that read and verify the ledger."""

import re

import click
from google.protobuf.timestamp_pb2 import Timestamp

from giftpay.cli import views
from giftpay.cli.exit_codes import ExitCode
from giftpay.cli.options import parse_time, pass_session
from giftpay.cli.session import Session
from giftpay.v1 import (
    GetTransactionRequest,
    GetTrialBalanceRequest,
    TraceTransactionRequest,
    VerifyLedgerRequest,
)

UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@click.command()
@click.argument("key")
@pass_session
def transaction(session: Session, *, key: str) -> None:
    """Show what was decided under KEY, which may be a transaction's id."""
    with session.client() as client:
        answer = client.wallets.GetTransaction(_named(key))
    session.show(answer)


def _named(key: str) -> GetTransactionRequest:
    if UUID_FORM.fullmatch(key):  # such a key is the transaction's id as well
        return GetTransactionRequest(transaction_id=key.lower())
    return GetTransactionRequest(idempotency_key=key)


@click.command()
@click.argument("transaction")
@pass_session
def trace(session: Session, *, transaction: str) -> None:
    """Follow the coins of TRANSACTION: what paid for them, and where they went."""
    with session.client() as client:
        answer = client.admin.TraceTransaction(TraceTransactionRequest(transaction_id=transaction))
    session.show(answer)


@click.command()
@click.option("--since", type=parse_time, metavar="TIME", help="Only what came then or later; UTC.")
@pass_session
def verify(session: Session, *, since: Timestamp | None) -> None:
    """Check the books row by row."""
    with session.client() as client:
        answer = client.admin.VerifyLedger(VerifyLedgerRequest(since_time=since))
    session.show(answer)
    if not answer.clean:
        raise click.exceptions.Exit(ExitCode.REFUSED)


@click.command("trial-balance")
@pass_session
def trial_balance(session: Session) -> None:
    """Sum all accounts: the total of each unit is zero."""
    with session.client() as client:
        answer = client.admin.GetTrialBalance(GetTrialBalanceRequest())
    session.show(answer, *views.trial_balance(answer.balances))
