"""A crowd that sends roses at its own pace, and counts of those answered during a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import giftpay
from giftpay.client import Client
from giftpay.v1 import SendGiftRequest

from tests.stories.evening import Evening
from tests.stories.wallets import open_wallet

COINS = 1_000  # of each viewer: more than any trial spends
PACE_S = 0.04  # between two gifts of one viewer
DEADLINE_S = 10  # of the default client
SLICE_S = 2.5  # in which gifts are counted
AT_LEAST = 3  # a slice with a fault serves the third part of one without


class Crowd(Evening):
    """Viewers who each send one rose after the other, and the result of each key."""

    def __init__(self, viewers: Sequence[str], stars: Sequence[str]) -> None:
        coins: Mapping[str, int] = dict.fromkeys(viewers, COINS)
        super().__init__(coins, stars, deadline_s=DEADLINE_S)
        self._pairs = [(viewer, stars[n % len(stars)]) for n, viewer in enumerate(viewers)]

    @asynccontextmanager
    async def sending(self, client: Client) -> AsyncIterator[None]:
        """All of them send while this lasts."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send_on(client, *pair)) for pair in self._pairs]
            yield
            for task in tasks:
                task.cancel()

    async def answered_in_a_slice(self) -> int:
        """How many gifts are answered in a while."""
        before = len(self.answered)
        await asyncio.sleep(SLICE_S)
        return len(self.answered) - before

    async def _send_on(self, client: Client, sender_id: str, recipient_id: str) -> None:
        while True:
            gift = rose(sender_id, recipient_id)
            self.sent[gift.idempotency_key] = gift
            await self._send(client, gift)
            await asyncio.sleep(PACE_S)


async def crowd(client: Client, *, viewers: int, stars: Sequence[str] = ()) -> Crowd:
    """So many new viewers, with as many stars of their own if none are named."""
    senders = [await open_wallet(client, coins=COINS) for _ in range(viewers)]
    return Crowd(senders, stars or [await open_wallet(client) for _ in range(viewers)])


def rose(sender_id: str, recipient_id: str) -> SendGiftRequest:
    """A rose with a message, so that it takes more than one statement, under a new key."""
    key = giftpay.new_key()
    return SendGiftRequest(
        idempotency_key=key,
        sender_id=sender_id,
        recipient_id=recipient_id,
        gift_id="rose",
        message="bravo",
    )
