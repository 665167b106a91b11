"""Half-open connections between caller and server, which the client detects in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing
from time import monotonic

import giftpay
import pytest
from giftpay.client import TIMEOUT_S, Client
from giftpay.keepalive import ANSWER_WITHIN_S, PING_AFTER_S
from giftpay.v1 import (
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    GetWalletRequest,
    SendGiftRequest,
)
from giftpay_server.app import Running

from tests.conftest import OpenWallet
from tests.faults.fault_proxy import CLIENT, DOWN, EXISTING, FaultProxy, fault_proxy, tcp
from tests.faults.faults import BlackHole, Cut

FOUND_WITHIN_S = PING_AFTER_S + ANSWER_WITHIN_S
SLACK_S = 3  # of a busy machine
GIFTS = 2_000
QUIET_S = 5 * PING_AFTER_S  # longer than a server tolerates too many pings


@pytest.fixture
async def proxy(server: Running) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(tcp(server.address)) as proxy:
        yield proxy


@pytest.fixture
async def caller(proxy: FaultProxy) -> AsyncIterator[Client]:
    """The shipped client as it comes, through the proxy."""
    async with giftpay.connect(proxy.address) as caller:
        yield caller


async def test_a_call_outlives_a_connection_that_swallows_it(
    proxy: FaultProxy, caller: Client, open_wallet: OpenWallet
) -> None:
    read = GetWalletRequest(owner_id=await open_wallet())
    await caller.wallets.GetWallet(read)
    with proxy.failing(BlackHole(), on=EXISTING):
        await caller.wallets.GetWallet(read)  # within the ten seconds that it has by default
    assert proxy.taken == 2


async def test_a_half_open_connection_is_replaced(
    proxy: FaultProxy, caller: Client, open_wallet: OpenWallet
) -> None:
    read = GetWalletRequest(owner_id=await open_wallet())
    await caller.wallets.GetWallet(read)
    proxy.half_open(CLIENT)
    await caller.wallets.GetWallet(read)


async def test_short_calls_find_a_dead_connection_together(
    proxy: FaultProxy, open_wallet: OpenWallet
) -> None:
    read = GetWalletRequest(owner_id=await open_wallet())
    async with giftpay.connect(proxy.address, timeout=0.5) as caller:
        with proxy.failing(BlackHole(), on=EXISTING):
            began, failed = monotonic(), 0
            while failed < 100:
                try:
                    await caller.wallets.GetWallet(read)
                    break
                except giftpay.Unavailable:
                    failed += 1
    assert monotonic() - began < FOUND_WITHIN_S + SLACK_S


async def test_a_watch_continues_over_a_new_connection(
    proxy: FaultProxy, caller: Client, client: Client, open_wallet: OpenWallet
) -> None:
    owner_id = await open_wallet(coins=5)
    async with aclosing(caller.watch(owner_id, UNIT_COIN)) as entries:
        assert (await anext(entries)).seq == 1
        with proxy.failing(BlackHole(), on=EXISTING):
            await client.admin.AdjustBalance(
                AdjustBalanceRequest(owner_id=owner_id, unit=UNIT_COIN, amount=1, reason="test")
            )
            async with asyncio.timeout(FOUND_WITHIN_S + SLACK_S):
                assert (await anext(entries)).seq == 2


async def test_gifts_in_flight_are_sent_again_over_a_new_connection(
    proxy: FaultProxy, caller: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()
    taps = [SendGiftRequest(sender_id=anna, recipient_id=ben, gift_id="rose") for _ in range(100)]
    with ExitStack() as failing:
        decided = 0
        async for outcome in caller.send_gifts(taps, window=10):
            assert outcome.WhichOneof("outcome") == "gift"
            decided += 1
            if decided == 50:
                failing.enter_context(proxy.failing(BlackHole(), on=EXISTING))
    assert decided == 100
    wallet = (await caller.wallets.GetWallet(GetWalletRequest(owner_id=ben))).wallet
    assert wallet.diamonds.balance == 100


@pytest.mark.parametrize("reset", [True, False])
async def test_gifts_arrive_once_however_often_their_connection_ends(
    proxy: FaultProxy, caller: Client, open_wallet: OpenWallet, reset: bool
) -> None:
    anna, ben = await open_wallet(coins=GIFTS), await open_wallet()
    taps = [SendGiftRequest(sender_id=anna, recipient_id=ben, gift_id="rose") for _ in range(GIFTS)]
    seen: set[str] = set()
    async with aclosing(caller.watch(ben, UNIT_DIAMOND)) as entries:
        async for outcome in caller.send_gifts(taps, window=GIFTS // 20):
            assert outcome.WhichOneof("outcome") == "gift"
            seen.add(outcome.idempotency_key)
            if len(seen) % (GIFTS // 20) == 0:
                proxy.cut(reset=reset)
        seqs = [(await anext(entries)).seq for _ in range(GIFTS)]
    assert seqs == list(range(1, GIFTS + 1))
    assert len(seen) == GIFTS
    assert proxy.taken > 5


async def test_calls_arrive_once_however_often_their_connection_ends(
    proxy: FaultProxy, caller: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=100), await open_wallet()

    async def send() -> None:
        await caller.gifts.SendGift(
            SendGiftRequest(sender_id=anna, recipient_id=ben, gift_id="rose")
        )

    for _ in range(10):
        with proxy.failing(Cut(after=50), DOWN, on=EXISTING):
            await asyncio.gather(*(send() for _ in range(10)))
    wallet = (await caller.wallets.GetWallet(GetWalletRequest(owner_id=ben))).wallet
    assert wallet.diamonds.balance == 100
    assert proxy.taken > 5


async def test_the_server_permits_the_pings_of_a_stream_that_is_quiet(
    proxy: FaultProxy, caller: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=2), await open_wallet()

    async def taps() -> AsyncIterator[SendGiftRequest]:
        yield SendGiftRequest(sender_id=anna, recipient_id=ben, gift_id="rose")
        await asyncio.sleep(QUIET_S)
        yield SendGiftRequest(sender_id=anna, recipient_id=ben, gift_id="rose")

    assert len([outcome async for outcome in caller.send_gifts(taps())]) == 2
    assert proxy.taken == 1


def test_a_default_call_has_time_for_a_dead_connection() -> None:
    assert FOUND_WITHIN_S < TIMEOUT_S
