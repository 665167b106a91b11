"""Two server processes over one database are one giftpay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    GetGiftRequest,
    OpenWalletRequest,
    ReverseGiftRequest,
    SendGiftRequest,
    SendGiftResponse,
)

from tests.stories.evening import evening
from tests.stories.processes import server_process
from tests.stories.wallets import apply_catalog, balances, open_wallet, order, prove_books

CALLERS = 64  # at once, half of them on each server

Answer = TypeVar("Answer")
Clients = Sequence[Client]


@pytest.fixture(scope="module")
async def clients(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[Clients]:
    """A client of each of the two."""
    settings = {"DATABASE_URL": await new_database()}
    async with (
        server_process(**settings) as one,
        server_process(**settings) as two,
        giftpay.connect(one.address) as on_one,
        giftpay.connect(two.address) as on_two,
    ):
        await apply_catalog(on_one)
        yield on_one, on_two


@pytest.fixture(autouse=True)
async def books_balance(clients: Clients) -> AsyncIterator[None]:
    yield
    await prove_books(clients[0])


async def at_once(calls: Sequence[Awaitable[Answer]]) -> list[Answer | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)


def gift(sender_id: str, recipient_id: str, *, key: str, count: int = 1) -> SendGiftRequest:
    return SendGiftRequest(
        idempotency_key=key,
        sender_id=sender_id,
        recipient_id=recipient_id,
        gift_id="rose",
        count=count,
        message="the same message",
    )


def sent(answers: Sequence[SendGiftResponse | BaseException]) -> list[SendGiftResponse]:
    return [answer for answer in answers if isinstance(answer, SendGiftResponse)]


async def test_one_key_from_64_callers_at_once_is_one_gift(clients: Clients) -> None:
    anna, ben = await open_wallet(clients[0], coins=1_000), await open_wallet(clients[1])
    keys = [giftpay.new_key() for _ in range(10)]
    answers = await at_once(
        [
            client.gifts.SendGift(gift(anna, ben, key=key))
            for _ in range(CALLERS // 2)
            for key in keys
            for client in clients
        ]
    )
    for key in keys:
        of_key = [answer for answer in sent(answers) if answer.gift.transaction_id == key]
        assert sorted(answer.replayed for answer in of_key) == [False] + [True] * (CALLERS - 1)
        assert all(answer.gift == of_key[0].gift for answer in of_key)
    assert await balances(clients[0], anna) == (990, 0)
    assert await balances(clients[1], ben) == (0, 10)


async def test_one_key_with_two_contents_is_the_gift_that_came_first(clients: Clients) -> None:
    anna, ben = await open_wallet(clients[0], coins=1_000), await open_wallet(clients[1])
    cleo = await open_wallet(clients[1], coins=1_000)
    for _ in range(10):
        key = giftpay.new_key()
        contents = [gift(anna, ben, key=key), gift(cleo, ben, key=key, count=2)]
        answers = await at_once(
            [
                client.gifts.SendGift(content)
                for _ in range(CALLERS // 2)
                for client, content in zip(clients, contents, strict=True)
            ]
        )
        refused = [answer for answer in answers if isinstance(answer, giftpay.KeyReused)]
        replays = sorted(answer.replayed for answer in sent(answers))
        assert len(refused) == CALLERS // 2
        assert replays == [False] + [True] * (CALLERS // 2 - 1)
        assert {answer.fields for answer in refused} == {("sender_id", "count")}
    spent = 2_000 - sum([(await balances(clients[0], o))[0] for o in (anna, cleo)])
    assert await balances(clients[0], ben) == (0, spent)


async def test_one_refused_key_is_refused_alike_for_all(clients: Clients) -> None:
    anna, ben = await open_wallet(clients[0], coins=20), await open_wallet(clients[1])
    request = gift(anna, ben, key=giftpay.new_key(), count=21)
    answers = await at_once(
        [client.gifts.SendGift(request) for _ in range(CALLERS // 2) for client in clients]
    )
    assert {type(answer) for answer in answers} == {giftpay.InsufficientCoins}
    assert await balances(clients[1], anna) == (20, 0)


async def test_one_payment_confirmed_under_64_keys_is_credited_once(clients: Clients) -> None:
    anna = await open_wallet(clients[0])
    top_up_id = await order(clients[0], anna, coins=1_000)
    answers = await at_once(
        [
            client.top_ups.ConfirmTopUp(
                ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=f"pay-{anna}")
            )
            for _ in range(CALLERS // 2)
            for client in clients
        ]
    )
    tops = [answer.top_up for answer in answers if not isinstance(answer, BaseException)]
    assert len(tops) == CALLERS
    assert all(top_up == tops[0] for top_up in tops)
    assert await balances(clients[1], anna) == (1_000, 0)


async def test_one_payment_for_two_orders_pays_for_one(clients: Clients) -> None:
    anna, ben = await open_wallet(clients[0]), await open_wallet(clients[1])
    orders = [await order(clients[0], owner, coins=20) for owner in (anna, ben)]
    answers = await at_once(
        [
            client.top_ups.ConfirmTopUp(
                ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=f"pay-{anna}")
            )
            for _ in range(CALLERS // 2)
            for client, top_up_id in zip(clients, orders, strict=True)
        ]
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {type(answer) for answer in refused} == {giftpay.PaymentReferenceUsed}
    assert len(refused) == CALLERS // 2
    credited = [await balances(clients[0], owner) for owner in (anna, ben)]
    assert sorted(credited) == [(0, 0), (20, 0)]


async def test_an_order_that_is_cancelled_while_it_is_paid_is_paid(clients: Clients) -> None:
    anna = await open_wallet(clients[0])
    for number in range(5):
        top_up_id = await order(clients[0], anna, coins=20)
        payment = ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=f"{anna}-{number}")
        cancel = clients[0].top_ups.CancelTopUp(CancelTopUpRequest(top_up_id=top_up_id))
        paid = asyncio.ensure_future(clients[1].top_ups.ConfirmTopUp(payment))
        (cancelled,) = await at_once([cancel])
        top_up = (await paid).top_up
        assert top_up.paid_after_cancel is not isinstance(cancelled, giftpay.WrongTopUpState)
    assert await balances(clients[1], anna) == (100, 0)


async def test_one_wallet_opened_by_64_callers_is_one_wallet(clients: Clients) -> None:
    anna = giftpay.new_key()
    answers = await at_once(
        [
            client.wallets.OpenWallet(
                OpenWalletRequest(owner_id=anna, country_code="DE", age_verified=True)
            )
            for _ in range(CALLERS // 2)
            for client in clients
        ]
    )
    wallets = [answer.wallet for answer in answers if not isinstance(answer, BaseException)]
    assert len(wallets) == CALLERS
    assert all(wallet == wallets[0] for wallet in wallets)


async def test_one_gift_reversed_under_64_keys_is_reversed_once(clients: Clients) -> None:
    anna, ben = await open_wallet(clients[0], coins=20), await open_wallet(clients[1])
    reversed_ = gift(anna, ben, key=giftpay.new_key(), count=7)
    await clients[0].gifts.SendGift(reversed_)
    answers = await at_once(
        [
            client.admin.ReverseGift(
                ReverseGiftRequest(transaction_id=reversed_.idempotency_key, reason="story")
            )
            for _ in range(CALLERS // 2)
            for client in clients
        ]
    )
    refused = [answer for answer in answers if isinstance(answer, giftpay.GiftAlreadyReversed)]
    assert len(refused) == CALLERS - 1
    named = GetGiftRequest(transaction_id=reversed_.idempotency_key)
    reversal_id = (await clients[1].gifts.GetGift(named)).gift.reversal_id
    assert {answer.reversal_id for answer in refused} == {reversal_id}
    assert await balances(clients[1], anna) == (20, 0)
    assert await balances(clients[0], ben) == (0, 0)


async def test_an_evening_through_both_is_one_evening(clients: Clients) -> None:
    gifts = await evening(clients[0])
    async with gifts.under_way(*clients):
        await gifts.until_answered(1_000)
    await gifts.prove(clients[1])
    assert not gifts.failures
