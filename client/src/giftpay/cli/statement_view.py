"""Formats the lines of a statement to the terminal's width, which is at least 60 columns."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from giftpay.cli.fields import enum_name, moment
from giftpay.cli.views import printed
from giftpay.v1 import Entry, SystemAccount, TransactionKind

WIDE = 80
GAP = 1  # between any two columns
NUMBERS = {"seq": 6, "amount": 12, "balance": 13}
WHAT_MIN = 12


@dataclass(frozen=True, slots=True)
class Statement:
    """Entries as a table. Widths depend on the terminal only, so that later lines stay aligned."""

    entries: Iterable[Entry]
    heads: bool = True

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(
            box=None,
            header_style="bold",
            padding=(0, GAP, 0, 0),
            pad_edge=False,
            show_header=self.heads,
        )
        for head, width in _widths(options.max_width).items():
            right = head in NUMBERS
            table.add_column(
                head, width=width, justify="right" if right else "left", overflow="fold"
            )
        for entry in self.entries:
            amount, balance = f"{entry.amount:+,}", f"{entry.balance:,}"
            what = printed(_what(entry))
            table.add_row(str(entry.seq), moment(entry.create_time), amount, balance, what)
        yield table


def _widths(total: int) -> dict[str, int]:
    time = 19 if total >= WIDE else 10  # the date and the time in two lines
    what = total - time - sum(NUMBERS.values()) - 4 * GAP
    seq, amount, balance = NUMBERS.items()
    return dict([seq, ("time (UTC)", time), amount, balance, ("what", max(what, WHAT_MIN))])


def _what(entry: Entry) -> str:
    kind = enum_name(TransactionKind.DESCRIPTOR, entry.kind)
    if entry.HasField("gift"):
        gift = f"{entry.gift.gift_id} x{entry.gift.count}, {entry.counterpart_id}"
        return gift if entry.kind == TransactionKind.TRANSACTION_KIND_GIFT else f"{kind}: {gift}"
    account = enum_name(SystemAccount.DESCRIPTOR, entry.system_account)
    return kind if account == kind else f"{kind} ({account})"
