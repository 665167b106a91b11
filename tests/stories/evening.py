"""An evening of gifts: what was sent, what each key was answered, and the proof at its end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import giftpay
from giftpay.client import Client
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    BatchSendGiftsRequest,
    Entry,
    ErrorReason,
    GiftOutcome,
    Refusal,
    SendGiftRequest,
    Unit,
)

from tests.stories.wallets import PRICES, apply_catalog, open_wallet, prove_books, statement

BATCH = 25  # gifts
SLACK_S = 10  # after its deadline, in which a call ends even on a busy machine
AGAIN_S = 60  # in which every key is to be answered, once the fault is over
VIEWER_COINS = (1_000, 1_000, 1_000, 20)  # the last one soon has too few


class Evening:
    """Viewers with coins, and stars; answers are kept by key, each as an outcome of a batch."""

    def __init__(
        self, viewers: Mapping[str, int], stars: Sequence[str], *, deadline_s: float
    ) -> None:
        self.sent: dict[str, SendGiftRequest] = {}
        self.answered: dict[str, GiftOutcome] = {}
        self.failures: Counter[str] = Counter()
        self._viewers, self._stars = viewers, stars
        self._call_max_s = deadline_s + SLACK_S
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
        """Every key has one answer, and the books have exactly what was answered.

        Those who watched a star got all of its entries.
        """
        for star, entries in (await self.prove_answers(client)).items():
            assert await self._followed_to_the_end(client, star, len(entries)) == entries
        await prove_books(client)

    async def prove_answers(self, client: Client) -> dict[str, list[Entry]]:
        """Every key has one answer, and the statements are the sum of them; those of the stars."""
        await self._send_all_again(client)
        gifts = [outcome.gift for outcome in self.answered.values() if outcome.HasField("gift")]
        assert gifts
        for viewer, coins in self._viewers.items():
            sent = {g.transaction_id: -g.coins for g in gifts if g.sender_id == viewer}
            await _is_the_statement(client, viewer, UNIT_COIN, sent, before=[coins])
        statements = {}
        for star in self._stars:
            got = {
                gift.transaction_id: gift.diamonds for gift in gifts if gift.recipient_id == star
            }
            statements[star] = await _is_the_statement(client, star, UNIT_DIAMOND, got)
        return statements

    async def _followed_to_the_end(self, client: Client, star: str, last: int) -> list[Entry]:
        followed = self._followed[star]
        assert followed  # while the gifts were under way
        async with asyncio.timeout(AGAIN_S):
            if len(followed) < last:
                async for entry in client.watch(star, UNIT_DIAMOND, after_seq=len(followed)):
                    followed.append(entry)
                    if entry.seq == last:
                        break
        return followed

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
            async with asyncio.timeout(self._call_max_s):
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
            async with asyncio.timeout(self._call_max_s):
                answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
        except giftpay.GiftpayError as error:
            await self._failed(error)
            return []
        undecided = None
        for outcome in answer.outcomes:
            no = giftpay.refusal_error(outcome.refusal)
            if outcome.HasField("gift") or no.pinned:
                self._note(outcome)
            else:
                undecided = no
        if undecided is not None:
            await self._failed(undecided)
        return answer.outcomes

    def _gift(self) -> SendGiftRequest:
        gift = SendGiftRequest(
            idempotency_key=giftpay.new_key(),
            sender_id=self._random.choice(list(self._viewers)),
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
        self.failures[error.reason or (error.code.name if error.code else "no answer")] += 1
        await asyncio.sleep(getattr(error, "retry_after", 0.0) or 0.05)


async def evening(client: Client, *, deadline_s: float = 10) -> Evening:
    """A new evening on a server: its catalog, its wallets. No call may take longer than that."""
    await apply_catalog(client)
    viewers = {await open_wallet(client, coins=coins): coins for coins in VIEWER_COINS}
    stars = [await open_wallet(client) for _ in range(2)]
    return Evening(viewers, stars, deadline_s=deadline_s)


async def _is_the_statement(
    client: Client,
    owner_id: str,
    unit: Unit.ValueType,
    gifts: dict[str, int],
    *,
    before: Sequence[int] = (),
) -> list[Entry]:
    entries = await statement(client, owner_id, unit)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.amount for entry in entries[: len(before)]] == list(before)
    booked = [(entry.transaction_id, entry.amount) for entry in entries[len(before) :]]
    assert sorted(booked) == sorted(gifts.items())
    return entries
