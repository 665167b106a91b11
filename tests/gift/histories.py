"""Random rounds of concurrent gifts, played alike in several worlds, and their results."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import giftpay
from giftpay.client import Client
from giftpay.v1 import SendGiftRequest

Kinds = Mapping[str, Mapping[str, Any]]

VIEWERS, STARS = 12, 3
FULL = "full"  # an owner of all worlds at the balance limit
POOR = "viewer-0"  # has a coin
FRESH: Kinds = {
    "posted": {},
    "dear": {"gift_id": "gold"},
    "many": {"count": 7, "message": "bravo ✿", "context": "live/1", "combo_id": "c-1"},
    "at its price": {"gift_id": "live", "expected_coins": 5},
    "price changed": {"expected_coins": 9},
    "unknown gift": {"gift_id": "no"},
    "off sale": {"gift_id": "gone"},
    "too much": {"gift_id": "gold", "count": 10_000},
    "nobody": {"recipient_id": "nobody"},
    "by nobody": {"sender_id": "nobody"},
    "frozen": {"recipient_id": "frozen"},
    "closed": {"recipient_id": "closed"},
    "full": {"recipient_id": FULL},
}
MALFORMED: Kinds = {
    "no gift": {"gift_id": ""},
    "count": {"count": -1},
    "two fields": {"count": 10_001, "context": "live 1"},
    "long": {"message": "x" * 201},
    "key": {"idempotency_key": "k" * 129},
}
CHANGES = ({"count": 2}, {"message": "other"}, {"gift_id": "live", "combo_id": "c-2"})
OWNERS = ("sender_id", "recipient_id")


class Ask(NamedTuple):
    """One call, with names that each world translates to its own."""

    fields: dict[str, Any]
    preview: bool = False
    timeout: float | None = None
    metadata: Sequence[tuple[str, str]] = ()


class History:
    """Rounds of concurrent calls whose results do not depend on their order in the round."""

    def __init__(self, seed: int, rounds: int) -> None:
        self._random = random.Random(seed)
        self._asked: list[Ask] = []
        self.rounds = [self._round() for _ in range(rounds)]

    def _round(self) -> list[Ask]:
        asks: dict[str, Ask] = {}
        for number in range(VIEWERS):
            ask = self._ask(f"viewer-{number}")
            asks.setdefault(ask.fields["idempotency_key"], ask)  # one command a key and round
        self._asked += asks.values()
        twice = [ask for ask in asks.values() if self._random.random() < 0.2]
        return [*asks.values(), *twice, *twice[:1]]

    def _ask(self, viewer: str) -> Ask:
        kind = self._random.choices(
            ("fresh", "malformed", "again", "changed"), weights=(8, 1, 3, 2)
        )[0]
        if not self._asked or kind == "fresh":
            return self._fresh(viewer, FRESH)
        if kind == "malformed":
            return self._fresh(viewer, MALFORMED)
        earlier = self._random.choice(self._asked)
        if kind == "again":
            return earlier
        return Ask({**earlier.fields, **self._random.choice(CHANGES)})

    def _fresh(self, viewer: str, kinds: Kinds) -> Ask:
        star = f"star-{self._random.randrange(STARS)}"
        recipient = self._random.choice([star, star, star, star, viewer])
        fields = {
            "idempotency_key": f"k{self._random.getrandbits(64)}",
            "sender_id": viewer,
            "recipient_id": recipient,
            "gift_id": "rose",
            **self._random.choice(list(kinds.values())),
        }
        return Ask(
            fields,
            preview=self._random.random() < 0.1,
            timeout=20 if self._random.random() < 0.1 else None,
            metadata=[("trace", "1")] if self._random.random() < 0.1 else (),
        )


class World:
    """A client with its own owners and keys."""

    def __init__(self, name: str, client: Client) -> None:
        self._name, self._client = name, client

    def owner(self, name: str) -> str:
        """The name of an owner in this world."""
        return name if name == FULL else f"{self._name}.{name}"

    async def play(self, asks: Sequence[Ask]) -> dict[str, list[str]]:
        """The results of each key, one for each call, in names that all worlds share."""
        found = await asyncio.gather(*map(self._call, asks))
        ended: defaultdict[str, list[str]] = defaultdict(list)
        for ask, end in zip(asks, found, strict=True):
            ended[ask.fields["idempotency_key"]].append(end)
        return {key: sorted(ends) for key, ends in ended.items()}

    async def _call(self, ask: Ask) -> str:
        own = {name: self.owner(ask.fields[name]) for name in OWNERS}
        key = self.owner(ask.fields["idempotency_key"])
        request = SendGiftRequest(**{**ask.fields, **own, "idempotency_key": key})
        request.validate_only = ask.preview
        try:
            answer = await self._client.gifts.SendGift(
                request, timeout=ask.timeout, metadata=ask.metadata
            )
        except giftpay.GiftpayError as error:
            result = f"{type(error).__name__} {error} {sorted(vars(error).items())}"
        else:
            for own_to_each in ("transaction_id", "create_time"):
                answer.gift.ClearField(own_to_each)
            result = str(answer)
        return result.replace(f"{self._name}.", "")
