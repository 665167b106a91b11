"""The lines of a statement, in as many columns as the terminal has, from 60 on."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from giftpay.cli.fields import moment, word
from giftpay.cli.views import printed
from giftpay.v1 import Entry, SystemAccount, TransactionKind

WIDE = 80
GAP = 1  # between any two columns
NUMBERS = {"seq": 6, "amount": 12, "balance": 13}
WHAT_MIN = 12


@dataclass(frozen=True, slots=True)
class Statement:
    """Entries line by line; widths follow from the terminal's, so that later lines stay in line."""

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


def _widths(room: int) -> dict[str, int]:
    time = 19 if room >= WIDE else 10  # the day above the hour
    what = room - time - sum(NUMBERS.values()) - 4 * GAP
    seq, amount, balance = NUMBERS.items()
    return dict([seq, ("time (UTC)", time), amount, balance, ("what", max(what, WHAT_MIN))])


def _what(entry: Entry) -> str:
    kind = word(TransactionKind.DESCRIPTOR, entry.kind)
    if entry.HasField("gift"):
        said = f"{entry.gift.gift_id} x{entry.gift.count}, {entry.counterpart_id}"
        return said if entry.kind == TransactionKind.TRANSACTION_KIND_GIFT else f"{kind}: {said}"
    account = word(SystemAccount.DESCRIPTOR, entry.system_account)
    return kind if account == kind else f"{kind} ({account})"
