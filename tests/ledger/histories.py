"""Random books and commands for the laws of the kernel; amounts are small, so that they run out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    Catalog,
    CatalogGift,
    Rational,
    SendGiftRequest,
    Unit,
)
from giftpay_server.catalog.rules import Catalog as PriceList
from giftpay_server.gift.messages import gift_command
from giftpay_server.ledger.lots import Withdrawn
from giftpay_server.ledger.model import Account, Books, Command, Draft, HoldState, Owner
from giftpay_server.ledger.rules import decide
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call
from hypothesis import strategies as st

from tests.ledger.movements import (
    CLAIM,
    EVERY_MOVEMENT,
    adjust,
    claim,
    claw_back,
    end_hold,
    hold,
    withdraw,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OWNERS = ("anna", "ben", "cleo")
GIFTS = {"rose": 1, "live": 5, "lion": 7}
KEYS = 16  # so few that they repeat
UNITS: tuple[Unit.ValueType, ...] = (UNIT_COIN, UNIT_DIAMOND)
AMOUNT = st.integers(1, 9)

Text = st.SearchStrategy[str]


def price_list(version: int = 1, **prices: int) -> PriceList:
    gifts = [CatalogGift(gift_id=name, name=name, coins=n) for name, n in (prices or GIFTS).items()]
    rate = Rational(numerator=1, denominator=1)
    return PriceList.of(Catalog(version=version, gifts=gifts, diamonds_per_coin=rate))


def opening_books(coins: Sequence[int], diamonds: Sequence[int] = (0, 0, 0)) -> Books:
    """Books in which each owner has so many coins and diamonds, as if they were adjusted in."""
    books = Books(now=NOW, catalog=price_list())
    for owner_id, *amounts in zip(OWNERS, coins, diamonds, strict=True):
        books.owners[owner_id] = Owner(owner_id, WALLET_STATUS_ACTIVE, "DE", None, NOW)
        for unit, amount in zip(UNITS, amounts, strict=True):
            open_account(books, Account(owner_id, unit, amount))
    return books


def open_account(books: Books, account: Account) -> None:
    """Puts an account into books, and the row that its withdrawals read."""
    key = account.owner_id, account.unit
    books.accounts[key], books.rows[Withdrawn, key] = account, Withdrawn(*key)


def gift(key: str, sender: str, recipient: str, *, gift_id: str, count: int) -> Command:
    request = SendGiftRequest(
        idempotency_key=key,
        sender_id=sender,
        recipient_id=recipient,
        gift_id=gift_id,
        count=count,
    )
    return gift_command(ask(request, Call("test")))


def owners(edition: int = 0) -> tuple[str, ...]:
    """Who takes part in an edition of a history; none takes part in two."""
    return tuple(f"{name}-{edition}" for name in OWNERS) if edition else OWNERS


def keys(edition: int = 0) -> list[str]:
    """The keys of an edition; none is another's."""
    return [str(uuid.UUID(int=(edition << 64) + number)) for number in range(1, KEYS + 1)]


def commands(edition: int = 0) -> st.SearchStrategy[list[Command]]:
    """Lists in which keys repeat, with the same contents and with others."""
    some_key, owner = st.sampled_from(keys(edition)), st.sampled_from(owners(edition))
    gifts = st.builds(
        gift,
        some_key,
        owner,
        st.sampled_from((*owners(edition), "nobody")),
        gift_id=st.sampled_from((*GIFTS, "unknown")),
        count=st.integers(1, 3),
    )
    signed = st.integers(-9, 9).filter(bool)
    claims = st.sampled_from([f"{CLAIM}{edition}:{number}" for number in range(2)])
    alone = st.one_of(
        gifts,
        st.builds(adjust, some_key, owner, unit=st.sampled_from(UNITS), amount=signed),
        st.builds(withdraw, some_key, owner, skip=st.integers(0, 9), amount=AMOUNT),
        st.builds(claim, some_key, owner, amount=AMOUNT, claim_id=claims, again=st.booleans()),
    )
    runs = st.one_of(
        alone.map(lambda command: [command]), _holds(some_key, owner), _debts(some_key, owner)
    )
    return st.lists(runs, max_size=12).map(lambda lists: list(chain.from_iterable(lists)))


# What follows on one another in these would rarely meet by chance.
@st.composite
def _holds(draw: st.DrawFn, some_key: Text, owner: Text) -> list[Command]:
    """A hold, and up to two commands that end it."""
    hold_id, owner_id = draw(some_key), draw(owner)
    states = st.sampled_from((HoldState.CAPTURED, HoldState.RELEASED))
    end = st.builds(end_hold, some_key, st.just(owner_id), hold_id=st.just(hold_id), state=states)
    return [hold(hold_id, owner_id, amount=draw(AMOUNT)), *draw(st.lists(end, max_size=2))]


@st.composite
def _debts(draw: st.DrawFn, some_key: Text, owner: Text) -> list[Command]:
    """A claw-back of perhaps more than there is, and up to two credits after it."""
    owner_id, unit = draw(owner), draw(st.sampled_from(UNITS))
    credit = st.builds(adjust, some_key, st.just(owner_id), unit=st.just(unit), amount=AMOUNT)
    taken = claw_back(draw(some_key), owner_id, unit=unit, amount=draw(st.integers(1, 30)))
    return [taken, *draw(st.lists(credit, max_size=2))]


def opening_balances() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 20), min_size=len(OWNERS), max_size=len(OWNERS))


def decided(batch: Sequence[Command], books: Books) -> tuple[list[object], Draft]:
    draft = Draft()
    return list(decide(batch, books, draft, EVERY_MOVEMENT)), draft
