"""Where a transaction's coins came from and what became of them, in 80 columns."""

from collections.abc import Iterator

from rich.table import Table

from giftpay.cli.views import columns, facts, word
from giftpay.money import format_money
from giftpay.v1 import (
    CoinFate,
    CoinRoot,
    CoinState,
    EntryRef,
    LotKind,
    TracedDebit,
    TracedLot,
    TraceTransactionResponse,
    Unit,
)


def traced(answer: TraceTransactionResponse) -> Iterator[Table]:
    """What paid for each debit, then what became of each lot."""
    for debit in answer.debits:
        yield from _debit(debit)
    for lot in answer.lots:
        yield from _lot(lot)
    if not (answer.debits or answer.lots):
        yield facts(coins="none moved")


def _debit(debit: TracedDebit) -> Iterator[Table]:
    yield facts(
        debit=_entry(debit.entry),
        coins=debit.coins,
        took="those that it named" if debit.withdrawal else "the oldest",
        owed=debit.owed_coins or None,
        not_listed=debit.unlisted_coins or None,
    )
    if debit.roots:
        yield columns("coins", "of", "entry", "price", "source", rows=map(_root, debit.roots))


def _root(root: CoinRoot) -> tuple[int, str, str, str, str]:
    lot = root.lot
    price = format_money(root.price) if root.HasField("price") else ""
    return root.coins, word(LotKind, lot.kind), str(lot.entry.seq), price, lot.source_id


def _lot(traced: TracedLot) -> Iterator[Table]:
    lot = traced.lot
    yield facts(
        credit=_entry(lot.entry),
        coins=lot.coins,
        of=word(LotKind, lot.kind),
        price=format_money(lot.price) if lot.HasField("price") else "",
        source=lot.source_id,
        not_listed=traced.unlisted_coins or None,
    )
    fates = [_fate(lot.entry, fate) for fate in traced.fates]
    if fates:
        yield columns("coins", "became", "entry", "returned", "transaction", rows=fates)


def _fate(credited: EntryRef, fate: CoinFate) -> tuple[int, str, str, str, str]:
    entry = str(fate.entry.seq) if fate.HasField("entry") else ""
    returned = str(fate.lot_entry.seq) if fate.lot_entry != credited else ""
    return fate.coins, word(CoinState, fate.state), entry, returned, fate.transaction_id


def _entry(ref: EntryRef) -> str:
    return f"{ref.owner_id}, {word(Unit, ref.unit)} entry {ref.seq}"
