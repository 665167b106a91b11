"""Traces the coins of a transaction: where they came from, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from giftpay.v1 import (
    UNIT_COIN,
    CoinFate,
    CoinLot,
    CoinRoot,
    EntryRef,
    Money,
    TracedDebit,
    TracedLot,
    TraceTransactionResponse,
)

from giftpay_server.journal.trace_store import read_entries, read_past, read_spends
from giftpay_server.ledger.lots import Share
from giftpay_server.ledger.model import Entry, Lot
from giftpay_server.ledger.trace import CoinState, Fate, Past, fate, key, roots
from giftpay_server.postgres.pool import Pool

ROOTS_MAX = 1_000  # listed of a debit
SPENDS_MAX = 1_000  # the first ones, read for the lots of a transaction
FATES_MAX = 2_000  # listed of a lot: these spends, withdrawals and unspent coins


async def trace(pool: Pool, transaction_id: str) -> TraceTransactionResponse | None:
    """Traces in one snapshot; None if there is no such transaction."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        entries = await read_entries(connection, transaction_id)
        coins = [entry for entry in entries or () if entry.unit == UNIT_COIN]
        past = await read_past(connection, {(entry.owner_id, entry.unit) for entry in coins})
        lots = _minted(past, coins)
        spends = await read_spends(connection, past, _spent(past, lots), limit=SPENDS_MAX)
    if entries is None:
        return None
    past = replace(past, debits=[*past.debits, *spends])
    return TraceTransactionResponse(
        debits=[_debit(past, entry) for entry in coins if entry.amount < 0],
        lots=[_traced(lot, fate(past, lot)) for lot in lots],
    )


def _minted(past: Past, coins: Sequence[Entry]) -> list[Lot]:
    keys = {key(entry) for entry in coins}
    return [lot for each in past.odometers.values() for lot in each.lots if key(lot) in keys]


def _spent(past: Past, lots: Sequence[Lot]) -> list[Share]:
    """The spent coins whose spends were not read yet."""
    fates = [each for lot in lots for each in fate(past, lot)]
    return [each.share for each in fates if _is_unread(each)]


def _is_unread(fate: Fate) -> bool:
    return fate.state is CoinState.SPENT and fate.debit is None


def _debit(past: Past, entry: Entry) -> TracedDebit:
    shares = roots(past, entry)
    listed, rest = shares[:ROOTS_MAX], shares[ROOTS_MAX:]
    return TracedDebit(
        entry=_ref(entry),
        coins=-entry.amount,
        withdrawal=bool(past.odometer(entry).withdrawn.of_entry(entry.seq)),
        roots=[
            CoinRoot(lot=_lot(each.lot), coins=each.size, price=_money(each.lot, each.price))
            for each in listed
        ],
        unlisted_coins=sum(each.size for each in rest),
        owed_coins=-entry.amount - sum(each.size for each in shares),
    )


def _traced(lot: Lot, fates: Sequence[Fate]) -> TracedLot:
    known = [each for each in fates if not _is_unread(each)][:FATES_MAX]
    return TracedLot(
        lot=_lot(lot),
        fates=[_fate(each) for each in known],
        unlisted_coins=lot.size - sum(each.share.size for each in known),
    )


def _fate(fate: Fate) -> CoinFate:
    share, state, debit = fate
    return CoinFate(
        coins=share.size,
        state=state.value,  # type: ignore[arg-type]
        entry=_ref(debit) if debit is not None else None,
        transaction_id=debit.transaction_id if debit is not None else "",
        lot_entry=_ref(share.lot),
    )


def _lot(lot: Lot) -> CoinLot:
    grant = lot.grant
    return CoinLot(
        entry=_ref(lot),
        kind=grant.kind.value,  # type: ignore[arg-type]
        source_id=grant.source_id,
        coins=lot.size,
        price=_money(lot, grant.price),
    )


def _money(lot: Lot, minor_units: int | None) -> Money | None:
    if minor_units is None:
        return None
    return Money(currency_code=lot.grant.currency or "", minor_units=minor_units)


def _ref(of: Entry | Lot) -> EntryRef:
    return EntryRef(owner_id=of.owner_id, unit=of.unit, seq=of.seq)  # type: ignore[arg-type]
