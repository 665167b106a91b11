"""Formats any answer as text, in the columns of the terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import category

from google.protobuf.message import Message
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from giftpay.cli.fields import Cell, cells, enum_name, inner, is_list, label, siblings
from giftpay.cli.trace import TRACED
from giftpay.v1 import SystemAccount, TrialBalance, Unit

Row = Mapping[str, Cell]

SHOWN_IF_ZERO = {"balance", "diamonds", "entries", "transactions"}  # elsewhere 0 means unset
JOINERS = "\u200c\u200d"
UNBOUNDED = 100_000  # columns, to measure a table's full width


def view(message: Message) -> Iterator[RenderableType]:
    """The fields of a message that have a value, then its lists, each as a table."""
    lists = list(_lists(message))
    every = cells(message).items()
    named = {name: cell for name, cell in every if cell or (cell == 0 and name in SHOWN_IF_ZERO)}
    if not any(each.messages for each in lists):
        named |= {each.name: "none" for each in lists}
    yield facts(named) if named or lists else "done"
    for each in lists:
        if each.messages:
            if len(lists) > 1:
                yield Text(each.name, style="bold")
            yield each


@dataclass(frozen=True, slots=True)
class Listed:
    """The messages of a list as a table, or one below the other if the table is too wide."""

    name: str
    messages: Sequence[Message]
    rows: Sequence[Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = columns(self.rows)
        nested = any(any(_lists(message)) for message in self.messages)
        width = Measurement.get(console, options.update_width(UNBOUNDED), table).maximum
        if width <= options.max_width and not nested:
            yield table
            return
        for place, (message, row) in enumerate(zip(self.messages, self.rows, strict=True)):
            if place:
                yield ""
            if heading := row.get("", ""):
                yield Text(printed(heading), style="bold")
            yield from view(message)


def _lists(message: Message) -> Iterator[Listed]:
    for fields in siblings(message):
        messages = [getattr(message, field.name) for field in fields]
        rows = [{"": label(field), **cells(getattr(message, field.name))} for field in fields]
        yield Listed(fields[0].message_type.name.lower(), messages, rows)
    for field in filter(is_list, message.DESCRIPTOR.fields):
        messages = getattr(message, field.name)
        yield Listed(label(field), messages, list(map(_row, messages)))
    for field in inner(message):
        yield from _lists(getattr(message, field.name))


def _row(message: Message) -> Row:
    return TRACED.get(message.DESCRIPTOR.full_name, cells)(message)


def facts(named: Row) -> Table:
    """Names and values, one a line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, cell in named.items():
        table.add_row(name, printed(cell))
    return table


def columns(rows: Sequence[Row]) -> Table:
    """A table without empty columns; numbers are aligned right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    heads = dict.fromkeys(head for row in rows for head in row)
    shown = [head for head in heads if any(row.get(head, "") != "" for row in rows)]
    for head in shown:
        number = any(isinstance(row.get(head), int) for row in rows)
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(printed(row.get(head, "")) for head in shown))
    return table


def printed(cell: Cell) -> str:
    """A number with thousands separators, or a text without control characters."""
    if isinstance(cell, int):
        return f"{cell:,}"
    return "".join(
        letter if _is_harmless(letter) else "\N{REPLACEMENT CHARACTER}" for letter in cell
    )


def _is_harmless(letter: str) -> bool:
    # For Python neither the joiners in emoji nor the spaces of French are printable.
    return letter.isprintable() or letter in JOINERS or category(letter) == "Zs"


def trial_balance(balances: Iterable[TrialBalance]) -> Iterator[Table]:
    """The balances of each unit as one column, with its total at the end."""
    for each in balances:
        accounts = {
            enum_name(SystemAccount.DESCRIPTOR, system.system_account): system.balance
            for system in each.system_accounts
        }
        sums = {"owners": each.owners, **accounts, "total": each.total}
        unit = f"{enum_name(Unit.DESCRIPTOR, each.unit)}s"
        yield columns([{unit: name, "balance": balance} for name, balance in sums.items()])
