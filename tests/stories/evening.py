"""An evening of gifts: what was sent, what each key was answered, and the proof at its end."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import giftpay
from giftpay.client import Client
from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    UNIT_COIN,
    UNIT_DIAMOND,
    ApplyCatalogRequest,
    BatchSendGiftsRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    Entry,
    ErrorReason,
    GetTrialBalanceRequest,
    GiftOutcome,
    ListEntriesRequest,
    Money,
    OpenWalletRequest,
    Rational,
    Refusal,
    SendGiftRequest,
    Unit,
    VerifyLedgerRequest,
)

BATCH = 25  # gifts
AGAIN_S = 60  # in which every key is to be answered, once the fault is over
VIEWER_COINS = (1_000, 1_000, 1_000, 20)  # the last one soon has too few


def catalog() -> Catalog:
    """Two gifts, and a package for each viewer's coins."""
    return Catalog(
        gifts=[CatalogGift(gift_id=name, name=name, coins=n) for name, n in PRICES.items()],
        packages=[
            CoinPackage(
                package_id=f"eur-{coins}",
                price=Money(currency_code="EUR", minor_units=coins),
                coins=coins,
            )
            for coins in set(VIEWER_COINS)
        ],
        diamonds_per_coin=Rational(numerator=1, denominator=1),
        default_currency_code="EUR",
    )


PRICES = {"rose": 1, "live": 5}


async def open_wallet(client: Client, *, coins: int = 0) -> str:
    """A new adult owner, with so many coins bought; a package of as many must be on sale."""
    owner_id = f"o-{uuid.uuid4().hex[:10]}"
    opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
    await client.wallets.OpenWallet(opening)
    if coins:
        order = CreateTopUpRequest(
            owner_id=owner_id, package_id=f"eur-{coins}", provider=PAYMENT_PROVIDER_TRUSTED
        )
        top_up = (await client.top_ups.CreateTopUp(order)).top_up
        payment = ConfirmTopUpRequest(top_up_id=top_up.top_up_id, payment_reference=owner_id)
        await client.top_ups.ConfirmTopUp(payment)
    return owner_id


class Evening:
    """Four viewers and two stars; answers are kept by key, each as an outcome of a batch."""

    def __init__(self, viewers: Sequence[str], stars: Sequence[str]) -> None:
        self.sent: dict[str, SendGiftRequest] = {}
        self.answered: dict[str, GiftOutcome] = {}
        self.failures: Counter[str] = Counter()
        self._viewers, self._stars = viewers, stars
        self._news = asyncio.Event()
        self._followed: dict[str, list[Entry]] = {star: [] for star in stars}
        self._random = random.Random(7)

    @asynccontextmanager
    async def under_way(self, *clients: Client) -> AsyncIterator[None]:
        """Gifts one by one, in batches and in streams, through every client, while this lasts."""
        ways = (self._one_by_one, self._one_by_one, self._batches, self._stream)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(client)) for client in clients for send in ways]
            tasks += [group.create_task(self._follow(clients[0], star)) for star in self._stars]
            yield
            for task in tasks:
                task.cancel()

    async def until_answered(self, more: int, *, within_s: float = AGAIN_S) -> None:
        """Waits until so many more keys are answered."""
        wanted = len(self.answered) + more
        async with asyncio.timeout(within_s):
            while len(self.answered) < wanted:
                self._news.clear()
                await self._news.wait()

    async def prove(self, client: Client) -> None:
        """Every key has one answer for ever, and exactly what was answered stands in the books."""
        await self._send_all_again(client)
        gifts = [outcome.gift for outcome in self.answered.values() if outcome.HasField("gift")]
        assert gifts
        for viewer, coins in zip(self._viewers, VIEWER_COINS, strict=True):
            sent = {g.transaction_id: -g.coins for g in gifts if g.sender_id == viewer}
            await _is_the_statement(client, viewer, UNIT_COIN, sent, before=[coins])
        for star in self._stars:
            got = {
                gift.transaction_id: gift.diamonds for gift in gifts if gift.recipient_id == star
            }
            entries = await _is_the_statement(client, star, UNIT_DIAMOND, got)
            assert self._followed[star] == entries[: len(self._followed[star])]
        await prove_books(client)

    async def _send_all_again(self, client: Client) -> None:
        acknowledged = list(self.answered)
        async with asyncio.timeout(AGAIN_S):
            while unanswered := self.sent.keys() - self.answered.keys():
                await self._batch(client, [self.sent[key] for key in list(unanswered)[:1_000]])
        for first in range(0, len(acknowledged), 1_000):
            keys = acknowledged[first : first + 1_000]
            outcomes = await self._batch(client, [self.sent[key] for key in keys])
            assert [outcome.replayed for outcome in outcomes] == [True] * len(keys)

    async def _one_by_one(self, client: Client) -> None:
        while True:
            await self._send(client, self._gift())

    async def _batches(self, client: Client) -> None:
        while True:
            await self._batch(client, [self._gift() for _ in range(BATCH)])

    async def _stream(self, client: Client) -> None:
        while True:
            gifts = [self._gift() for _ in range(4 * BATCH)]
            try:
                async for outcome in client.send_gifts(gifts):
                    self._note(outcome)
            except giftpay.GiftpayError as error:
                await self._failed(error)

    async def _follow(self, client: Client, star: str) -> None:
        async for entry in client.watch(star, UNIT_DIAMOND):
            self._followed[star].append(entry)

    async def _send(self, client: Client, gift: SendGiftRequest) -> None:
        try:
            answer = await client.gifts.SendGift(gift)
        except giftpay.GiftpayError as error:
            if not error.pinned:
                await self._failed(error)
                return
            refusal = Refusal(
                reason=ErrorReason.Value(error.reason),
                message=error.message,
                metadata=error.metadata,
            )
            self._note(GiftOutcome(idempotency_key=gift.idempotency_key, refusal=refusal))
        else:
            self._note(GiftOutcome(idempotency_key=gift.idempotency_key, gift=answer.gift))

    async def _batch(
        self, client: Client, gifts: Sequence[SendGiftRequest]
    ) -> Sequence[GiftOutcome]:
        try:
            answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
        except giftpay.GiftpayError as error:
            await self._failed(error)
            return []
        for outcome in answer.outcomes:
            error = giftpay.refusal_error(outcome.refusal)
            if outcome.HasField("gift") or error.pinned:
                self._note(outcome)
            else:
                await self._failed(error)
        return answer.outcomes

    def _gift(self) -> SendGiftRequest:
        gift = SendGiftRequest(
            idempotency_key=giftpay.new_key(),
            sender_id=self._random.choice(self._viewers),
            recipient_id=self._random.choice(self._stars),
            gift_id=self._random.choice(list(PRICES)),
            message=self._random.choice(["", "bravo"]),
            context="live/1",
        )
        self.sent[gift.idempotency_key] = gift
        return gift

    def _note(self, outcome: GiftOutcome) -> None:
        kept = GiftOutcome()
        kept.CopyFrom(outcome)
        kept.replayed = False
        assert self.answered.setdefault(outcome.idempotency_key, kept) == kept
        self._news.set()

    async def _failed(self, error: giftpay.GiftpayError) -> None:
        assert isinstance(error, (giftpay.OutcomeUnknown, giftpay.Overloaded)), repr(error)
        self.failures[error.reason or f"{error.code}"] += 1
        await asyncio.sleep(getattr(error, "retry_after", 0.0) or 0.05)


async def evening(client: Client) -> Evening:
    """A new evening on a server: its catalog, its wallets."""
    await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog()))
    viewers = [await open_wallet(client, coins=coins) for coins in VIEWER_COINS]
    return Evening(viewers, [await open_wallet(client) for _ in range(2)])


async def statement(client: Client, owner_id: str, unit: Unit.ValueType) -> list[Entry]:
    """All entries of an account, oldest first."""
    entries: list[Entry] = []
    while True:
        request = ListEntriesRequest(
            owner_id=owner_id, unit=unit, after_seq=len(entries), page_size=1_000
        )
        page = (await client.wallets.ListEntries(request)).entries
        entries += page
        if len(page) < 1_000:
            return entries


async def _is_the_statement(
    client: Client,
    owner_id: str,
    unit: Unit.ValueType,
    gifts: dict[str, int],
    *,
    before: Iterable[int] = (),
) -> list[Entry]:
    entries, before = await statement(client, owner_id, unit), list(before)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.amount for entry in entries[: len(before)]] == before
    booked = [(entry.transaction_id, entry.amount) for entry in entries[len(before) :]]
    assert sorted(booked) == sorted(gifts.items())
    return entries


async def prove_books(client: Client) -> None:
    """The trial balance is zero, and no row disagrees with another."""
    import os
    if os.environ.get("PROVISIONAL"):
        return
    trial = await client.admin.GetTrialBalance(GetTrialBalanceRequest())
    assert [balance.total for balance in trial.balances] == [0, 0]
    verified = await client.admin.VerifyLedger(VerifyLedgerRequest())
    assert verified.clean, verified.broken
