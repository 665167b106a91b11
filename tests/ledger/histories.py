"""Random books and commands for the laws of the kernel; amounts are small, so that they run out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from giftpay.v1 import (
    ERROR_REASON_INSUFFICIENT_COINS,
    ERROR_REASON_INSUFFICIENT_DIAMONDS,
    SYSTEM_ACCOUNT_ADJUSTMENT,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    Catalog,
    CatalogGift,
    Rational,
    SendGiftRequest,
)
from giftpay_server.catalog.rules import Catalog as PriceList
from giftpay_server.gift.messages import gift_command
from giftpay_server.ledger.books import (
    Account,
    Books,
    Draft,
    Hold,
    HoldState,
    Leg,
    Owner,
)
from giftpay_server.ledger.commands import Command, Decision, Posted, refuse, wallet
from giftpay_server.ledger.rules import decide
from hypothesis import strategies as st

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OWNERS = ("anna", "ben", "cleo")
GIFTS = {"rose": 1, "live": 5, "lion": 7}


def price_list(version: int = 1, **prices: int) -> PriceList:
    gifts = [CatalogGift(gift_id=name, name=name, coins=n) for name, n in (prices or GIFTS).items()]
    rate = Rational(numerator=1, denominator=1)
    return PriceList.of(Catalog(version=version, gifts=gifts, diamonds_per_coin=rate))


def opening_books(coins: Sequence[int]) -> Books:
    """Books in which each owner has so many coins, as if they had been adjusted in."""
    books = Books(now=NOW, catalog=price_list())
    for owner_id, amount in zip(OWNERS, coins, strict=True):
        books.owners[owner_id] = Owner(owner_id, WALLET_STATUS_ACTIVE, "DE", None, NOW)
        books.accounts[owner_id, UNIT_COIN] = Account(owner_id, UNIT_COIN, amount)
        books.accounts[owner_id, UNIT_DIAMOND] = Account(owner_id, UNIT_DIAMOND)
    return books


def gift(number: int, sender: str, recipient: str, *, gift_id: str, count: int) -> Command:
    request = SendGiftRequest(
        idempotency_key=str(uuid.UUID(int=number + 1)),
        sender_id=sender,
        recipient_id=recipient,
        gift_id=gift_id,
        count=count,
    )
    return gift_command(request, caller="test")


def other(number: int, owner_id: str, *, amount: int, hold: bool) -> Command:
    """An adjustment by an amount, or a hold of it (placed if positive, else captured at once)."""
    return Command(
        id=str(uuid.UUID(int=number + 1)),
        caller="test",
        kind=TRANSACTION_KIND_GIFT,
        request=SendGiftRequest(sender_id=owner_id, expected_coins=amount, combo_id=str(hold)),
        accounts=wallet(owner_id),
        decide=partial(_hold if hold else _adjust, number, owner_id, amount),
    )


def _adjust(_number: int, owner_id: str, amount: int, books: Books) -> Decision:
    if books.accounts[owner_id, UNIT_COIN].available + amount < 0:
        return refuse(ERROR_REASON_INSUFFICIENT_COINS)
    return Posted(legs=(Leg(owner_id, UNIT_COIN, amount, SYSTEM_ACCOUNT_ADJUSTMENT),))


def _hold(number: int, owner_id: str, amount: int, books: Books) -> Decision:
    if books.accounts[owner_id, UNIT_DIAMOND].available < abs(amount):
        return refuse(ERROR_REASON_INSUFFICIENT_DIAMONDS)
    hold_id = str(uuid.UUID(int=number + 1))
    hold = Hold(owner_id, hold_id, UNIT_DIAMOND, abs(amount), HoldState.OPEN, NOW)
    return Posted(holds=(hold,))


def commands() -> st.SearchStrategy[list[Command]]:
    """Lists in which keys repeat, with the same contents and with others."""
    owners, numbers = st.sampled_from(OWNERS), st.integers(0, 12)
    recipients = st.sampled_from((*OWNERS, "nobody"))
    gifts = st.builds(
        gift,
        numbers,
        owners,
        recipients,
        gift_id=st.sampled_from((*GIFTS, "unknown")),
        count=st.integers(1, 3),
    )
    amounts = st.integers(-9, 9).filter(bool)
    others = st.builds(other, numbers, owners, amount=amounts, hold=st.booleans())
    return st.lists(st.one_of(gifts, others), max_size=12)


def opening_coins() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 40), min_size=len(OWNERS), max_size=len(OWNERS))


def decided(batch: Sequence[Command], books: Books) -> tuple[list[object], Draft]:
    draft = Draft()
    return list(decide(batch, books, draft)), draft
