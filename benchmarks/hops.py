"""`python -m benchmarks.hops`: counts the files and functions that one warm SendGift enters.

It counts every call of a function under giftpay_server, in any task, from the moment the
client sends until the server is idle; resuming a coroutine is another call. Comprehensions are
not counted: from Python 3.12 on they are not functions.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import giftpay_server
import uvloop
from giftpay.client import Client, connect
from giftpay.v1 import UNIT_COIN, AdjustBalanceRequest, OpenWalletRequest, SendGiftRequest
from giftpay_server.app import foundation, serving
from giftpay_server.config import Config

from benchmarks.bench import scratch_folder

PACKAGE = f"{Path(giftpay_server.__file__).parent}/"
ANONYMOUS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
POLL_S = 3_600  # background work would be counted as the gift's
WARM_UP, TRACED = 10, 7  # gifts
QUIET_S = 0.2


class Call(NamedTuple):
    """A function that was entered, by the file that it is in."""

    file: str
    function: str


@dataclass(frozen=True, slots=True)
class Hops:
    """The counts of one gift."""

    files: tuple[str, ...]  # in the order of entering
    functions: int
    calls: int
    changes: int  # of file, from one call to the next

    @classmethod
    def of(cls, calls: Sequence[Call]) -> Hops:
        changes = sum(one.file != other.file for one, other in pairwise(calls))
        files = tuple(dict.fromkeys(call.file for call in calls))
        return cls(files, len(set(calls)), len(calls), changes)


def main() -> None:
    """Prints the most common counts of the traced gifts, and their files."""
    with scratch_folder() as folder:
        traced = uvloop.run(_trace(folder / "state"))
    hops, times = Counter(traced).most_common(1)[0]
    print(f"{len(hops.files)} files, {hops.functions} functions, {hops.calls} calls, ", end="")
    print(f"{hops.changes} changes of file ({times} of {len(traced)} gifts)")
    print("\n".join(hops.files))


async def _trace(state: Path) -> list[Hops]:
    config = Config(state=state, listen="127.0.0.1:0", payout_poll_s=POLL_S)
    async with (
        foundation(config) as completed,
        serving(completed) as server,
        connect(server.address) as client,
    ):
        await _open_wallets(client)
        for _ in range(WARM_UP):
            await _send(client)
        return [await _traced(client) for _ in range(TRACED)]


async def _open_wallets(client: Client) -> None:
    for owner in ("viewer", "creator"):
        await client.wallets.OpenWallet(
            OpenWalletRequest(owner_id=owner, country_code="DE", age_verified=True)
        )
    await client.admin.AdjustBalance(
        AdjustBalanceRequest(owner_id="viewer", unit=UNIT_COIN, amount=1_000, reason="hops")
    )


async def _send(client: Client) -> None:
    gift = SendGiftRequest(sender_id="viewer", recipient_id="creator", gift_id="rose", count=1)
    await client.gifts.SendGift(gift)


async def _traced(client: Client) -> Hops:
    await asyncio.sleep(QUIET_S)
    with _calls() as calls:
        await _send(client)
        await asyncio.sleep(QUIET_S)  # for work after the answer, such as the feed's hints
    return Hops.of(calls)


@contextmanager
def _calls() -> Iterator[list[Call]]:
    """The calls inside giftpay_server while this lasts."""
    calls: list[Call] = []

    def entered(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if (
            event == "call"
            and code.co_filename.startswith(PACKAGE)
            and code.co_name not in ANONYMOUS
        ):
            calls.append(Call(code.co_filename.removeprefix(PACKAGE), code.co_qualname))

    sys.setprofile(entered)
    try:
        yield calls
    finally:
        sys.setprofile(None)


if __name__ == "__main__":
    main()
