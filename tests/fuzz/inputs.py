"""Input number N of a seed: always the same, so that one that fails can be sent again alone."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from tests.fuzz import raw
from tests.fuzz.messages import Builder, World, has_pages
from tests.fuzz.rpcs import Rpc, every_rpc

STREAM_MAX = 4  # messages of a call that takes several
LARGE = 5 << 20  # bytes: more than a message may have
RANDOM_SIZES = (0, 1, 5, 30, 300, 3_000)


@dataclass(frozen=True, slots=True)
class Input:
    """One call: its rpc, and the bytes of its messages."""

    number: int
    rpc: Rpc
    way: str  # how it was made
    payloads: tuple[bytes, ...]

    def __str__(self) -> str:
        sent = " ".join(payload[:2_000].hex() or "(empty)" for payload in self.payloads)
        return f"input {self.number}, {self.way}: {self.rpc.path} {sent}"


class Inputs:
    """The inputs of a seed."""

    def __init__(self, seed: int, world: World) -> None:
        self._seed = seed
        self._world = world
        self._rpcs = every_rpc()
        self._lists = [rpc for rpc in self._rpcs if has_pages(rpc.request)]
        self._weights = list(accumulate(rpc.weight for rpc in self._rpcs))

    def __getitem__(self, number: int) -> Input:
        random = source(self._seed, number)
        way = random.choice(WAYS)
        rpc = random.choice(self._lists) if way == "page" else self._rpc(random)
        count = random.randrange(STREAM_MAX + 1) if rpc.takes_stream else 1
        payloads = tuple(payload(random, self._world, rpc, way) for _ in range(count))
        return Input(number, rpc, way, payloads)

    def _rpc(self, random: Random) -> Rpc:
        return self._rpcs[bisect(self._weights, random.random() * self._weights[-1])]


def source(seed: int, number: int) -> Random:
    """The chance that an input is drawn from."""
    return Random(f"{seed}/{number}")


def payload(random: Random, world: World, rpc: Rpc, way: str) -> bytes:
    """The bytes of one message, made in that way."""
    builder = Builder(random, world)
    match way:
        case "random":
            return random.randbytes(random.choice(RANDOM_SIZES))
        case "large":
            return raw.delimited(1, bytes(LARGE if random.random() < 0.02 else 50_000))
        case "mutated":
            return raw.mutated(random, builder.valid(rpc.request).SerializeToString())
        case "odd":
            return raw.odd(random, builder.valid(rpc.request).SerializeToString(), rpc.request)
        case "hostile":
            return builder.hostile(rpc.request).SerializeToString()
        case "swapped":
            return builder.swapped(rpc.request).SerializeToString()
        case "page":
            return builder.page(rpc.request).SerializeToString()
        case _:
            return builder.valid(rpc.request).SerializeToString()


WAYS = (
    *("valid",) * 4, *("hostile",) * 5, *("mutated",) * 3, *("odd",) * 3, *("page",) * 2,
    "swapped", "random", "large",
)  # fmt: skip
