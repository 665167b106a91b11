"""Serialized requests: SendGift, each with a new key, between owners of a distribution."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import accumulate, islice

from giftpay.v1 import SendGiftRequest

VIEWERS = 10_000
ZIPF_VIEWERS = 100_000
CREATORS = 10_000
GIFT_ID = "rose"
PACKAGE_ID = "coins-100"

KEYS_AT_ONCE = 100  # few, so that making them delays no call by much


class Spread(Enum):
    """The distribution of senders and recipients."""

    UNIFORM = "uniform"
    HOT = "hot"  # all to one creator
    ZIPF = "zipf"  # the n-th of viewers and of creators takes part in proportion to 1/n


def viewer(number: int) -> str:
    """The id of a viewer, 10 characters."""
    return f"v{number:09d}"


def creator(number: int) -> str:
    """The id of a creator, 10 characters."""
    return f"c{number:09d}"


@dataclass(slots=True)
class Population:
    """Parts of serialized requests, with the weights with which they are drawn."""

    templates: list[bytes]
    weights: list[float] | None = None  # cumulative

    def draw(self, count: int) -> list[bytes]:
        return random.choices(self.templates, cum_weights=self.weights, k=count)


def gifts(spread: Spread, suffix: bytes = b"") -> Iterator[bytes]:
    """Yields serialized SendGiftRequests without end, each with a new key and the suffix."""
    senders, recipients = _senders(spread), _recipients(spread)
    while True:
        keys = new_keys(KEYS_AT_ONCE)
        drawn = zip(senders.draw(len(keys)), recipients.draw(len(keys)), keys, strict=True)
        # Protobuf merges concatenated messages. \x0a \x24: field 1, 36 bytes.
        for sender, recipient, key in drawn:
            yield b"\x0a\x24" + key + sender + recipient + suffix


def batches(source: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yields serialized BatchSendGiftsRequests (equal to StreamGiftsRequests) without end."""
    while True:
        # All have one length, below 128: \x0a: field 1, then the length in one byte.
        items = list(islice(source, size))
        prefix = bytes([0x0A, len(items[0])])
        yield prefix + prefix.join(items)


def new_keys(count: int) -> list[bytes]:
    """UUIDv7s of now."""
    tick = f"{time.time_ns() // 1_000_000:012x}"
    head = f"{tick[:8]}-{tick[8:]}-7"
    noise = os.urandom(9 * count).hex()
    chunks = (noise[at : at + 18] for at in range(0, len(noise), 18))
    return [f"{head}{n[:3]}-8{n[3:6]}-{n[6:]}".encode() for n in chunks]


@cache  # the load process sends many slices
def _senders(spread: Spread) -> Population:
    count = ZIPF_VIEWERS if spread is Spread.ZIPF else VIEWERS
    templates = [
        SendGiftRequest(sender_id=viewer(n), gift_id=GIFT_ID).SerializeToString()
        for n in range(count)
    ]
    return Population(templates, _weights(spread, count))


@cache
def _recipients(spread: Spread) -> Population:
    count = 1 if spread is Spread.HOT else CREATORS
    templates = [SendGiftRequest(recipient_id=creator(n)).SerializeToString() for n in range(count)]
    return Population(templates, _weights(spread, count))


def _weights(spread: Spread, count: int) -> list[float] | None:
    if spread is not Spread.ZIPF:
        return None
    return list(accumulate(1 / rank for rank in range(1, count + 1)))
