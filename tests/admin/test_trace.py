"""TraceTransaction: coins are followed back to what paid for them, and on to their end."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import giftpay
import pytest
from giftpay import new_key
from giftpay.client import Client
from giftpay.v1 import (
    COIN_STATE_SPENT,
    COIN_STATE_UNSPENT,
    COIN_STATE_WITHDRAWN,
    LOT_KIND_ADJUSTMENT,
    LOT_KIND_PAID,
    PAYMENT_PROVIDER_TRUSTED,
    UNIT_COIN,
    UNIT_DIAMOND,
    CoinState,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    ListEntriesRequest,
    LotKind,
    ReverseGiftRequest,
    SendGiftRequest,
    TopUp,
    TracedDebit,
    TracedLot,
    TraceTransactionRequest,
    TraceTransactionResponse,
)
from giftpay_server.admin.trace import ROOTS_MAX, SPENDS_MAX
from giftpay_server.app import Running
from giftpay_server.ledger import model as books
from giftpay_server.ledger.trace import CoinState as LedgerCoinState
from giftpay_server.protobuf import short_name
from grpc import StatusCode

from tests.conftest import OpenWallet
from tests.ledger.coins import Coins
from tests.ledger.movements import adjust, claw_back, withdraw
from tests.refusals import refused


async def traced(client: Client, transaction_id: str) -> TraceTransactionResponse:
    request = TraceTransactionRequest(transaction_id=transaction_id)
    return await client.admin.TraceTransaction(request)


async def bought(client: Client, owner_id: str) -> TopUp:
    """65 coins, paid."""
    order = CreateTopUpRequest(
        owner_id=owner_id, package_id="eur-65", provider=PAYMENT_PROVIDER_TRUSTED
    )
    top_up = (await client.top_ups.CreateTopUp(order)).top_up
    payment = ConfirmTopUpRequest(
        idempotency_key=new_key(), top_up_id=top_up.top_up_id, payment_reference=new_key()
    )
    await client.top_ups.ConfirmTopUp(payment)
    top_up.payment_reference = payment.idempotency_key  # by which its coins are traced
    return top_up


async def sent(client: Client, sender: str, recipient: str, coins: int) -> str:
    """A gift; the id of its transaction."""
    request = SendGiftRequest(sender_id=sender, recipient_id=recipient, gift_id="rose", count=coins)
    return (await client.gifts.SendGift(request)).gift.transaction_id


async def reversed_(client: Client, gift: str) -> str:
    request = ReverseGiftRequest(transaction_id=gift, reason="test")
    return (await client.admin.ReverseGift(request)).reversal_id


async def withdrawn(server: Running, owner_id: str, *, skip: int, amount: int) -> str:
    command = withdraw(new_key(), owner_id, skip=skip, amount=amount)
    await server.parts.journal.record(command)
    return command.id


def roots(debit: TracedDebit) -> list[tuple[int, LotKind.ValueType, str, int]]:
    return [(r.coins, r.lot.kind, r.lot.source_id, r.price.minor_units) for r in debit.roots]


def fates(lot: TracedLot) -> list[tuple[int, CoinState.ValueType, str]]:
    return [(each.coins, each.state, each.transaction_id) for each in lot.fates]


async def test_a_gift_is_traced_past_what_was_withdrawn_and_through_what_was_reversed(
    client: Client, server: Running, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    first, second = await bought(client, anna), await bought(client, anna)
    gift = await sent(client, anna, ben, 30)
    taken = await withdrawn(server, anna, skip=5, amount=45)  # of 65, all but 20 and these 5
    await reversed_(client, gift)
    again = await sent(client, anna, ben, 80)

    (debit,) = (await traced(client, again)).debits
    assert (debit.coins, debit.withdrawal, debit.owed_coins) == (80, False, 0)
    assert [(coins, source) for coins, _, source, _ in roots(debit)] == [
        (5, first.top_up_id),
        (60, second.top_up_id),
        (10, debit.roots[2].lot.source_id),
        (5, first.top_up_id),
    ]
    assert debit.roots[2].lot.kind == LOT_KIND_ADJUSTMENT
    assert not debit.roots[2].HasField("price")

    (named,) = (await traced(client, taken)).debits
    assert named.withdrawal
    assert [(coins, source) for coins, _, source, _ in roots(named)] == [
        (40, first.top_up_id),
        (5, second.top_up_id),
    ]

    (lot,) = (await traced(client, first.payment_reference)).lots
    assert (lot.lot.coins, lot.lot.price) == (65, first.price)
    assert fates(lot) == [
        (5, COIN_STATE_SPENT, again),
        (15, COIN_STATE_UNSPENT, ""),
        (5, COIN_STATE_SPENT, again),
        (40, COIN_STATE_WITHDRAWN, taken),
    ]
    assert [each.lot_entry == lot.lot.entry for each in lot.fates] == [False, False, True, True]


async def test_the_shares_of_a_price_add_up_to_it(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(), await open_wallet()
    top_up = await bought(client, anna)
    gifts = [await sent(client, anna, ben, coins) for coins in (7, 11, 13, 34)]
    debits = [(await traced(client, gift)).debits[0] for gift in gifts]
    shares = [price for debit in debits for _, kind, _, price in roots(debit)]
    assert sum(shares) == top_up.price.minor_units
    assert all(debit.roots[0].lot.kind == LOT_KIND_PAID for debit in debits)


async def test_debt_is_said_until_a_credit_fills_it(
    client: Client, server: Running, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet(coins=3)
    taken = claw_back(new_key(), anna, unit=UNIT_COIN, amount=10)
    await server.parts.journal.record(taken)
    (debit,) = (await traced(client, taken.id)).debits
    assert (sum(root.coins for root in debit.roots), debit.owed_coins) == (3, 7)
    grant = adjust(new_key(), anna, unit=UNIT_COIN, amount=9)
    await server.parts.journal.record(grant)
    (debit,) = (await traced(client, taken.id)).debits
    assert [root.coins for root in debit.roots] == [3, 7]
    assert debit.owed_coins == 0
    (lot,) = (await traced(client, grant.id)).lots
    assert fates(lot) == [(7, COIN_STATE_SPENT, taken.id), (2, COIN_STATE_UNSPENT, "")]


@dataclass
class Played:
    """A sender's history over the wire, and its coins by name."""

    client: Client
    server: Running
    owner_id: str
    recipient_id: str
    random: Random
    coins: Coins = field(default_factory=Coins)
    entries: dict[str, int] = field(default_factory=dict)  # the seq of each transaction's
    gifts: dict[str, int] = field(default_factory=dict)  # those not reversed yet

    async def step(self) -> None:
        """Something that may happen next."""
        there, seq = self.coins.unspent, len(self.entries) + 1
        amount = self.random.randint(1, max(1, len(there)))
        kind = self.random.choice(("grant", "gift", "gift", "withdraw", "reverse"))
        if kind == "gift" and there:
            gift = await sent(self.client, self.owner_id, self.recipient_id, amount)
            self.entries[gift] = self.gifts[gift] = seq
            self.coins.spend(seq, amount)
        elif kind == "withdraw" and there:
            skip = self.random.randint(0, len(there) - amount)
            taken = await withdrawn(self.server, self.owner_id, skip=skip, amount=amount)
            self.entries[taken] = seq
            self.coins.withdraw(seq, there[skip : skip + amount])
        elif kind == "reverse" and self.gifts:
            gift, sent_seq = self.gifts.popitem()
            self.entries[await reversed_(self.client, gift)] = seq
            self.coins.come(seq, len(self.coins.took[sent_seq]), back_from=sent_seq)
        else:
            grant = adjust(new_key(), self.owner_id, unit=UNIT_COIN, amount=12)
            await self.server.parts.journal.record(grant)
            self.entries[grant.id] = seq
            self.coins.come(seq, 12)


async def test_any_history_is_traced_as_coins_with_names_are(
    client: Client, server: Running, open_wallet: OpenWallet
) -> None:
    for seed in range(4):
        played = Played(client, server, await open_wallet(), await open_wallet(), Random(seed))
        for _ in range(25):
            await played.step()
        for transaction_id, seq in played.entries.items():
            answer = await traced(client, transaction_id)
            for debit in answer.debits:
                paid = [(root.lot.entry.seq, root.coins) for root in debit.roots]
                assert by_coin(paid) == [coin.root.lot for coin in played.coins.took[seq]]
            for lot in answer.lots:
                became = [((f.lot_entry.seq, f.state, f.entry.seq), f.coins) for f in lot.fates]
                last = [coin.last for coin in played.coins.coins if coin.lot == seq]
                assert by_coin(became) == [(coin.lot, coin.state, coin.taken_by) for coin in last]


def by_coin(runs: list[tuple[Any, int]]) -> list[Any]:
    """Repeats the value of each run of coins, once for each coin."""
    return [value for value, coins in runs for _ in range(coins)]


async def test_what_is_listed_has_an_end_and_the_rest_is_counted(
    client: Client, server: Running, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(), await open_wallet()
    many = SPENDS_MAX + 5
    grant = adjust(new_key(), anna, unit=UNIT_COIN, amount=many + 10)
    await server.parts.journal.record(grant)
    roses = [adjust(new_key(), anna, unit=UNIT_COIN, amount=-1) for _ in range(many)]
    await server.parts.journal.record_all(roses)
    (lot,) = (await traced(client, grant.id)).lots
    assert len(lot.fates) == SPENDS_MAX + 1
    assert (lot.fates[0].transaction_id, lot.fates[-1].coins) == (roses[0].id, 10)
    assert lot.unlisted_coins == 5

    many = ROOTS_MAX + 5
    crumbs = [adjust(new_key(), ben, unit=UNIT_COIN, amount=1) for _ in range(many)]
    await server.parts.journal.record_all(crumbs)
    gift = await sent(client, ben, anna, many)
    (debit,) = (await traced(client, gift)).debits
    assert len(debit.roots) == ROOTS_MAX
    assert (debit.unlisted_coins, debit.owed_coins) == (5, 0)


async def test_what_moves_no_coins_has_nothing_to_trace(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(diamonds=5), await open_wallet()
    key = new_key()
    poor = SendGiftRequest(idempotency_key=key, sender_id=anna, recipient_id=ben, gift_id="rose")
    with pytest.raises(giftpay.InsufficientCoins):
        await client.gifts.SendGift(poor)
    assert await traced(client, key) == TraceTransactionResponse()
    listed = ListEntriesRequest(owner_id=anna, unit=UNIT_DIAMOND)
    (entry,) = (await client.wallets.ListEntries(listed)).entries
    assert await traced(client, entry.transaction_id) == TraceTransactionResponse()


async def test_a_transaction_that_is_none_is_not_found(client: Client) -> None:
    nobody = new_key()
    with refused(giftpay.TransactionNotFound, StatusCode.NOT_FOUND, transaction_id=nobody):
        await traced(client, nobody)
    with pytest.raises(giftpay.InvalidArgument):
        await traced(client, "order 17")


def test_the_wire_names_kinds_and_states_as_the_kernel_does() -> None:
    for wire, kernel in ((LotKind, books.LotKind), (CoinState, LedgerCoinState)):
        named = {short_name(wire, number): number for number in wire.values() if number}
        assert named == {each.name: each.value for each in kernel}
