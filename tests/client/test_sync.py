"""The client for blocking code, from one thread and from many."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import giftpay
import grpc
import pytest
from giftpay.v1 import (
    UNIT_COIN,
    GetWalletRequest,
    GetWalletResponse,
    SendGiftRequest,
    SendGiftResponse,
    Wallet,
)
from grpc import StatusCode

from tests.client.scripted import Context, ScriptedServer, refusal_status
from tests.client.test_send_gifts import Ledger, gifts
from tests.client.test_watch import part, parts

T = TypeVar("T")


async def blocking(
    scripted: ScriptedServer, use: Callable[[giftpay.SyncClient], T], *, timeout_s: float = 3
) -> T:
    """Runs `use` in another thread, as the server runs in this one."""

    def run() -> T:
        with giftpay.connect_sync(scripted.address, timeout=timeout_s) as client:
            return use(client)

    return await asyncio.to_thread(run)


async def test_a_call_returns_its_answer(scripted: ScriptedServer) -> None:
    scripted.script("GetWallet", GetWalletResponse(wallet=Wallet(owner_id="anna")))
    request = GetWalletRequest(owner_id="anna")
    answer = await blocking(scripted, lambda client: client.wallets.GetWallet(request))
    assert answer.wallet.owner_id == "anna"


async def test_keys_retries_and_refusals_are_the_same(scripted: ScriptedServer) -> None:
    short = refusal_status(
        StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_COINS", available=1, required=5
    )
    scripted.script("SendGift", StatusCode.UNAVAILABLE, short)
    request = SendGiftRequest()
    with pytest.raises(giftpay.InsufficientCoins) as refused:
        await blocking(scripted, lambda client: client.gifts.SendGift(request))
    assert refused.value.key == request.idempotency_key
    assert scripted.asked["SendGift"] == [request] * 2


async def test_a_call_may_set_its_timeout(scripted: ScriptedServer) -> None:
    scripted.script("SendGift", hang)
    with pytest.raises(giftpay.OutcomeUnknown):
        await blocking(
            scripted, lambda client: client.gifts.SendGift(SendGiftRequest(), timeout=0.2)
        )


async def test_threads_share_a_client(scripted: ScriptedServer) -> None:
    scripted.script("SendGift", SendGiftResponse())

    def send_many(client: giftpay.SyncClient) -> None:
        with ThreadPoolExecutor(8) as threads:
            for _ in threads.map(client.gifts.SendGift, [SendGiftRequest() for _ in range(80)]):
                pass

    await blocking(scripted, send_many)
    assert len({asked.idempotency_key for asked in scripted.asked["SendGift"]}) == 80


async def test_one_request_sent_by_many_threads_has_one_key(scripted: ScriptedServer) -> None:
    scripted.script("SendGift", SendGiftResponse())
    request = SendGiftRequest()

    def send_many(client: giftpay.SyncClient) -> None:
        with ThreadPoolExecutor(8) as threads:
            for _ in threads.map(client.gifts.SendGift, [request] * 80):
                pass

    await blocking(scripted, send_many)
    assert {asked.idempotency_key for asked in scripted.asked["SendGift"]} == {
        request.idempotency_key
    }


async def test_clients_of_many_threads_are_independent(scripted: ScriptedServer) -> None:
    scripted.script("SendGift", SendGiftResponse())

    def send_some(client: giftpay.SyncClient) -> None:
        for _ in range(10):
            client.gifts.SendGift(SendGiftRequest())

    await asyncio.gather(*(blocking(scripted, send_some) for _ in range(4)))
    assert len(scripted.asked["SendGift"]) == 40


async def test_watching_is_an_iterator(scripted: ScriptedServer) -> None:
    scripted.script(
        "WatchEntries", parts(part(1), then=StatusCode.UNAVAILABLE), parts(part(2, 3), then="hang")
    )

    def watch(client: giftpay.SyncClient) -> list[int]:
        entries = client.watch("anna", UNIT_COIN)
        return [next(entries).seq for _ in range(3)]

    assert await blocking(scripted, watch) == [1, 2, 3]


async def test_gifts_are_sent_in_rounds_and_their_iterable_runs_in_the_callers_thread(
    scripted: ScriptedServer,
) -> None:
    ledger = Ledger(3)
    scripted.script("StreamGifts", ledger.play)
    threads = set()

    def source() -> Iterator[SendGiftRequest]:
        for gift in gifts(10):
            threads.add(threading.current_thread())
            yield gift

    def send(client: giftpay.SyncClient) -> tuple[list[int], threading.Thread]:
        outcomes = client.send_gifts(source(), window=4)
        return [outcome.gift.count for outcome in outcomes], threading.current_thread()

    counts, thread = await blocking(scripted, send)
    assert counts == list(range(1, 11))
    assert threads == {thread}


async def test_an_error_of_the_source_comes_after_the_outcomes_before_it(
    scripted: ScriptedServer,
) -> None:
    scripted.script("StreamGifts", Ledger().play)

    def source() -> Iterator[SendGiftRequest]:
        yield from gifts(6)
        raise LookupError("no seventh")

    def send(client: giftpay.SyncClient) -> list[int]:
        outcomes = client.send_gifts(source(), window=4)
        seen = [next(outcomes).gift.count for _ in range(6)]
        with pytest.raises(LookupError, match="no seventh"):
            next(outcomes)
        return seen

    assert await blocking(scripted, send) == [1, 2, 3, 4, 5, 6]


async def test_nobody_listening_is_reported_at_once() -> None:
    def connect() -> None:
        with giftpay.connect_sync("127.0.0.1:1", timeout=60):
            pass

    with pytest.raises(giftpay.Unavailable, match=r"127\.0\.0\.1:1"):
        await asyncio.wait_for(asyncio.to_thread(connect), 5)


async def test_leaving_ends_the_calls_of_other_threads_and_the_thread(
    scripted: ScriptedServer,
) -> None:
    asked = threading.Event()

    async def play(_: SendGiftRequest, __: Context) -> None:
        asked.set()
        await asyncio.sleep(30)

    scripted.script("SendGift", play)
    scripted.script("GetWallet", StatusCode.UNAVAILABLE)
    request = SendGiftRequest()
    with ThreadPoolExecutor(2) as threads:

        def leave(
            client: giftpay.SyncClient,
        ) -> tuple[Future[SendGiftResponse], Future[GetWalletResponse]]:
            command = threads.submit(client.gifts.SendGift, request)
            read = threads.submit(client.wallets.GetWallet, GetWalletRequest())
            asked.wait(5)
            return command, read

        command, read = await blocking(scripted, leave, timeout_s=30)
        with pytest.raises(giftpay.OutcomeUnknown) as unknown:
            await asyncio.to_thread(command.result, 5)
        with pytest.raises(giftpay.Unavailable):
            await asyncio.to_thread(read.result, 5)
    assert unknown.value.key == request.idempotency_key
    assert "giftpay" not in {thread.name for thread in threading.enumerate()}


async def test_a_call_of_a_closed_client_is_an_error(scripted: ScriptedServer) -> None:
    client = await blocking(scripted, lambda client: client)
    with pytest.raises(RuntimeError, match="closed"):
        client.gifts.SendGift(SendGiftRequest())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_calls_end_when_the_thread_ends(scripted: ScriptedServer) -> None:
    scripted.script("GetWallet", hang)

    def end_it(client: giftpay.SyncClient) -> None:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.wallets.GetWallet, GetWalletRequest())
            client._thread._loop.call_soon_threadsafe(sys.exit)
            with pytest.raises(giftpay.GiftpayError, match="closed"):
                waiting.result(5)
        with pytest.raises(RuntimeError, match="closed"):
            client.wallets.GetWallet(GetWalletRequest())

    await asyncio.wait_for(blocking(scripted, end_it), 10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_a_call_that_is_scheduled_as_the_thread_ends_lets_nobody_wait(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_it(client: giftpay.SyncClient) -> None:
        loop = client._thread._loop
        ended, scheduled, close = threading.Event(), threading.Event(), loop.close

        def close_later() -> None:
            ended.set()
            scheduled.wait(5)
            close()

        monkeypatch.setattr(loop, "close", close_later)
        with ThreadPoolExecutor(1) as threads:
            loop.call_soon_threadsafe(sys.exit)
            ended.wait(5)
            waiting = threads.submit(client.wallets.GetWallet, GetWalletRequest())
            threading.Timer(0.2, scheduled.set).start()
            with pytest.raises(giftpay.GiftpayError, match="closed"):
                waiting.result(5)

    await asyncio.wait_for(blocking(scripted, end_it), 10)


class Waiting(grpc.aio.UnaryUnaryClientInterceptor):
    """Calls the client that waits for it."""

    client: giftpay.SyncClient | None = None
    error: RuntimeError | None = None

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        try:
            if self.client is not None:
                self.client.wallets.GetWallet(GetWalletRequest())
        except RuntimeError as error:
            self.error = error
        return await continuation(details, request)


async def test_an_interceptor_cannot_wait_for_its_own_client(scripted: ScriptedServer) -> None:
    waiting = Waiting()
    scripted.script("GetWallet", GetWalletResponse())

    def call() -> None:
        with giftpay.connect_sync(scripted.address, interceptors=[waiting]) as client:
            waiting.client = client
            client.wallets.GetWallet(GetWalletRequest())

    await asyncio.wait_for(asyncio.to_thread(call), 10)
    assert "own thread" in str(waiting.error)


async def hang(_: object, __: Context) -> None:
    await asyncio.sleep(30)
