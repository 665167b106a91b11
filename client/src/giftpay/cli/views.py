"""Answers as a person reads them, in 80 columns."""

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from giftpay.money import format_money
from giftpay.v1 import (
    AgeStatus,
    CatalogGift,
    CoinPackage,
    ErrorReason,
    Gift,
    PaymentProvider,
    Redemption,
    RedemptionQuote,
    RedemptionState,
    SystemAccount,
    TopUp,
    TopUpState,
    Transaction,
    TransactionKind,
    TrialBalance,
    Unit,
    VerifyLedgerResponse,
    Wallet,
    WalletStatus,
)


class Enum(Protocol):
    """An enum of the protos."""

    @property
    def DESCRIPTOR(self) -> EnumDescriptor: ...


def word(enum: Enum, value: int) -> str:
    """A value's name without that of its enum: `frozen` for WALLET_STATUS_FROZEN."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"
    known = enum.DESCRIPTOR.values_by_number.get(value)
    return known.name.removeprefix(prefix).lower().replace("_", " ") if known else str(value)


def moment(time: Timestamp) -> str:
    """A point in time to the second, in UTC."""
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S") if time.ByteSize() else ""


def cell(value: str | int) -> str:
    """A number with its thousands apart, or a text that cannot steer the terminal."""
    if isinstance(value, int):
        return f"{value:,}"
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value
    )


def facts(**values: str | int | None) -> Table:
    """Names and values, without those that are empty."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        if value not in ("", None):
            table.add_row(name.replace("_", " "), cell(value))
    return table


def columns(*heads: str, rows: Iterable[tuple[str | int, ...]]) -> Table:
    """A table, with its numbers to the right."""
    listed = list(rows)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, head in enumerate(heads):
        number = any(isinstance(row[place], int) for row in listed)
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in listed:
        table.add_row(*map(cell, row))
    return table


def wallet(wallet: Wallet) -> tuple[Table, Table]:
    about = facts(
        owner=wallet.owner_id,
        country=wallet.country_code,
        status=word(WalletStatus, wallet.status),
        age=word(AgeStatus, wallet.age_status),
        opened=moment(wallet.create_time),
    )
    balances = columns(
        "unit",
        "available",
        "held",
        "balance",
        "entries",
        rows=[
            (unit, balance.available, balance.held, balance.balance, balance.last_seq)
            for unit, balance in (("coins", wallet.coins), ("diamonds", wallet.diamonds))
        ],
    )
    return about, balances


def gift(gift: Gift) -> Table:
    return facts(
        transaction=gift.transaction_id,
        sender=gift.sender_id,
        recipient=gift.recipient_id,
        gift=f"{gift.gift_id} x{gift.count}",
        coins=gift.coins,
        diamonds=gift.diamonds,
        message=gift.message,
        context=gift.context,
        combo=gift.combo_id,
        sent=moment(gift.create_time),
    )


def top_up(top_up: TopUp) -> Table:
    return facts(
        top_up=top_up.top_up_id,
        owner=top_up.owner_id,
        package=top_up.package_id,
        price=format_money(top_up.price),
        coins=top_up.coins,
        bonus_coins=top_up.bonus_coins or None,
        provider=word(PaymentProvider, top_up.provider),
        state=word(TopUpState, top_up.state),
        payment=top_up.payment_reference,
        paid=moment(top_up.pay_time),
    )


def quote(quote: RedemptionQuote) -> Table:
    rate = quote.minor_units_per_diamond
    return facts(
        diamonds=quote.diamonds,
        gross=format_money(quote.gross),
        fee=format_money(quote.fee),
        amount=format_money(quote.amount),
        rate=f"{rate.numerator}/{rate.denominator} minor units a diamond",
        minimum=f"{quote.minimum_diamonds:,} diamonds",
        catalog=f"version {quote.catalog_version}",
    )


def redemption(redemption: Redemption) -> Table:
    return facts(
        redemption=redemption.redemption_id,
        owner=redemption.owner_id,
        diamonds=redemption.quote.diamonds,
        amount=format_money(redemption.quote.amount),
        fee=format_money(redemption.quote.fee),
        destination=redemption.destination,
        state=word(RedemptionState, redemption.state),
        returned=redemption.return_reason,
        made=moment(redemption.create_time),
        changed=moment(redemption.update_time),
    )


def packages(packages: Iterable[CoinPackage]) -> Table:
    rows = [
        (each.package_id, format_money(each.price), each.coins, each.bonus_coins)
        for each in packages
    ]
    return columns("package", "price", "coins", "bonus", rows=rows)


def gifts(gifts: Iterable[CatalogGift]) -> Table:
    return columns(
        "gift", "name", "coins", rows=[(each.gift_id, each.name, each.coins) for each in gifts]
    )


def transaction(transaction: Transaction) -> tuple[Table, ...]:
    refusal = transaction.refusal
    figures = (f"{name}={value}" for name, value in sorted(refusal.metadata.items()))
    about = facts(
        transaction=transaction.transaction_id,
        kind=word(TransactionKind, transaction.kind),
        caller=transaction.caller,
        outcome=transaction.WhichOneof("outcome"),
        reason=word(ErrorReason, refusal.reason) if transaction.HasField("refusal") else "",
        figures=" ".join(figures),
        catalog=f"version {transaction.catalog_version}",
        decided=moment(transaction.create_time),
    )
    moved = [(ref.owner_id, word(Unit, ref.unit), ref.seq) for ref in transaction.posted.entries]
    return (about, columns("account of", "unit", "entry", rows=moved)) if moved else (about,)


def verified(answer: VerifyLedgerResponse) -> Table:
    broken = answer.broken
    return facts(
        clean="yes" if answer.clean else "no",
        check=broken.check,
        table=broken.table,
        key=broken.key,
        detail=broken.detail,
        entries=answer.entries,
        transactions=answer.transactions,
        seen_until=moment(answer.watermark),
    )


def trial_balance(balances: Iterable[TrialBalance]) -> Iterator[Table]:
    for each in balances:
        accounts = [
            (word(SystemAccount, system.system_account), system.balance)
            for system in each.system_accounts
        ]
        rows = [("owners", each.owners), *accounts, ("total", each.total)]
        yield columns(f"{word(Unit, each.unit)}s", "balance", rows=rows)
