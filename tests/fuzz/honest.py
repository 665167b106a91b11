"""An honest client in a separate process, so that only the server's load slows it.

    python -m tests.fuzz.honest ADDRESS

Sends a rose every so often until its standard input ends, and then prints one JSON object: what it
saw, and whether the books agree with it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from time import time

import giftpay
from giftpay.client import Client
from giftpay.v1 import UNIT_COIN, UNIT_DIAMOND, Gift, SendGiftRequest

from tests.stories.wallets import apply_catalog, open_wallet, statement

PACE_S = 0.02
COINS = 1_000  # of each purchase: more than is spent before the next viewer is asked
GIFTS_A_VIEWER = 500
TIMEOUT_S = 30
READY = "ready"


@dataclass(slots=True)
class Seen:
    """The results of the honest client."""

    calls: list[tuple[float, float]] = field(default_factory=list)  # when, and how long: seconds
    ends: dict[str, int] = field(default_factory=dict)
    disagrees: str = ""  # how the books differ from the answers; empty if they agree

    def note(self, end: str) -> None:
        """Counts the end of a call."""
        self.ends[end] = self.ends.get(end, 0) + 1


class Honest:
    """Viewers who send roses, one after the other, to one star."""

    def __init__(self, client: Client, star: str) -> None:
        self.seen = Seen()
        self._client = client
        self._star = star
        self._gifts: dict[str, list[Gift]] = {}

    async def send(self, viewer: str) -> None:
        """Sends one rose and times it."""
        gift = SendGiftRequest(sender_id=viewer, recipient_id=self._star, gift_id="rose")
        begun, clock = time(), asyncio.get_running_loop().time
        start = clock()
        try:
            answer = await self._client.gifts.SendGift(gift)
        except giftpay.Refused as error:
            self.seen.note(error.reason)
            await apply_catalog(self._client)  # an operator is at hand: a fuzzed one took the rose
        except giftpay.GiftpayError as error:
            self.seen.note(type(error).__name__)
        else:
            self.seen.calls.append((begun, clock() - start))
            self.seen.note("OK")
            self._gifts.setdefault(viewer, []).append(answer.gift)

    async def prove(self) -> None:
        """Compares the statements with the answers."""
        for viewer, gifts in self._gifts.items():
            booked = await self._entries(viewer, UNIT_COIN)
            given = {gift.transaction_id: -gift.coins for gift in gifts}
            if {key: booked.get(key) for key in given} != given:
                self.seen.disagrees = viewer
        got = {gift.transaction_id: gift.diamonds for each in self._gifts.values() for gift in each}
        booked = await self._entries(self._star, UNIT_DIAMOND)
        if {key: booked.get(key) for key in got} != got:
            self.seen.disagrees = self._star

    async def _entries(self, owner_id: str, unit: giftpay.v1.Unit.ValueType) -> dict[str, int]:
        entries = await statement(self._client, owner_id, unit)
        return {entry.transaction_id: entry.amount for entry in entries}


async def work(address: str) -> Seen:
    """Sends until standard input ends."""
    stopped = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with giftpay.connect(address, timeout=TIMEOUT_S) as client:
        honest = Honest(client, await open_wallet(client))
        print(READY, flush=True)
        async with asyncio.TaskGroup() as calls:
            async for viewer in _viewers(client):
                if stopped.done():
                    break
                calls.create_task(honest.send(viewer))
                await asyncio.sleep(PACE_S)
        await honest.prove()
    return honest.seen


async def _viewers(client: Client) -> AsyncIterator[str]:
    while True:
        viewer = await open_wallet(client, coins=COINS)
        for _ in range(GIFTS_A_VIEWER):
            yield viewer


@asynccontextmanager
async def honest_client(address: str) -> AsyncIterator[asyncio.Future[Seen]]:
    """One beside; what it saw is known after this."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fuzz.honest", address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 28,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    seen: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
    assert (await process.stdout.readline()).decode().strip() == READY
    yield seen
    process.stdin.close()
    said = json.loads(await process.stdout.read())
    seen.set_result(Seen(**said))
    await process.wait()


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(work(sys.argv[1])))))
