"""The connections of a client: their number, and how calls are distributed over them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import giftpay
import grpc
import pytest
from giftpay.v1 import (
    UNIT_COIN,
    GetWalletRequest,
    GetWalletResponse,
    SendGiftRequest,
    SendGiftResponse,
    WatchEntriesResponse,
)
from grpc import StatusCode

from tests.client.scripted import Context, ScriptedServer, refusal_status, serving
from tests.client.test_send_gifts import Ledger, gifts
from tests.client.test_watch import first, part, parts


class Peers:
    """Answers, and counts the calls of each connection."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def answer(self, _: object, context: Context) -> GetWalletResponse:
        self.calls[context.peer()] += 1
        return GetWalletResponse()


@pytest.fixture
def peers(scripted: ScriptedServer) -> Peers:
    peers = Peers()
    scripted.script("GetWallet", peers.answer)
    return peers


async def test_each_client_has_a_connection_of_its_own(
    scripted: ScriptedServer, peers: Peers
) -> None:
    async with (
        giftpay.connect(scripted.address) as one,
        giftpay.connect(scripted.address) as two,
        giftpay.connect(scripted.address) as three,
    ):
        for client in (one, two, three):
            await client.wallets.GetWallet(GetWalletRequest())
    assert len(peers.calls) == 3


async def test_sequential_calls_use_the_connections_round_robin(
    scripted: ScriptedServer, peers: Peers
) -> None:
    async with giftpay.connect(scripted.address, connections=4) as client:
        for _ in range(20):
            await client.wallets.GetWallet(GetWalletRequest())
    assert sorted(peers.calls.values()) == [5, 5, 5, 5]


async def test_a_call_goes_to_the_least_busy_connection(
    scripted: ScriptedServer, peers: Peers
) -> None:
    busy: list[str] = []

    async def hang(_: SendGiftRequest, context: Context) -> None:
        busy.append(context.peer())
        await asyncio.sleep(30)

    scripted.script("SendGift", hang)
    async with giftpay.connect(scripted.address, connections=2) as client:
        call = asyncio.ensure_future(client.gifts.SendGift(SendGiftRequest()))
        for _ in range(10):
            await client.wallets.GetWallet(GetWalletRequest())
        call.cancel()
    assert len(peers.calls) == 1
    assert peers.calls.keys().isdisjoint(busy)


async def test_a_stream_occupies_its_connection(scripted: ScriptedServer, peers: Peers) -> None:
    watched: list[str] = []

    async def play(_: object, context: Context) -> AsyncIterator[WatchEntriesResponse]:
        watched.append(context.peer())
        yield part(1)
        await asyncio.sleep(30)

    scripted.script("WatchEntries", play)
    async with giftpay.connect(scripted.address, connections=2) as client:
        entries = client.watch("anna", UNIT_COIN)
        await anext(entries)
        for _ in range(4):
            await client.wallets.GetWallet(GetWalletRequest())
        await entries.aclose()
    assert peers.calls.keys().isdisjoint(watched)


async def test_blocking_code_has_several_connections_too(
    scripted: ScriptedServer, peers: Peers
) -> None:
    def call() -> None:
        with giftpay.connect_sync(scripted.address, connections=3) as client:
            for _ in range(6):
                client.wallets.GetWallet(GetWalletRequest())

    await asyncio.to_thread(call)
    assert sorted(peers.calls.values()) == [2, 2, 2]


async def test_a_server_that_is_not_up_yet_is_waited_for() -> None:
    script, later = ScriptedServer(), ScriptedServer()
    async with serving(script):
        pass  # so that its port is free again
    connecting = giftpay.connect(script.address, wait=20, connections=2)
    opening = asyncio.ensure_future(connecting.__aenter__())
    await asyncio.sleep(0.5)
    assert not opening.done()
    async with serving(later, script.address):
        later.script("SendGift", SendGiftResponse())
        client = await opening
        await client.gifts.SendGift(SendGiftRequest())
        await connecting.__aexit__(None, None, None)


async def test_waiting_ends() -> None:
    with pytest.raises(giftpay.Unavailable, match="nothing listens there"):
        async with asyncio.timeout(10), giftpay.connect("127.0.0.1:1", wait=0.3):
            pass


async def test_metadata_are_sent_with_every_call(scripted: ScriptedServer) -> None:
    sent: list[dict[str, Any]] = []

    def note(context: Context) -> None:
        pairs = context.invocation_metadata() or ()
        sent.append({key: value for key, value in pairs if key.startswith("x-")})

    async def unary(_: object, context: Context) -> GetWalletResponse:
        note(context)
        return GetWalletResponse()

    ledger = Ledger()

    async def watch(_: object, context: Context) -> AsyncIterator[WatchEntriesResponse]:
        note(context)
        yield part(1)

    async def stream(requests: Any, context: Context) -> AsyncIterator[Any]:
        note(context)
        async for answer in ledger.play(requests, context):
            yield answer

    scripted.script("GetWallet", unary)
    scripted.script("WatchEntries", watch)
    scripted.script("StreamGifts", stream)
    own: list[tuple[str, str | bytes]] = [("x-tenant", "a"), ("x-trace-bin", b"\x00\xff")]
    async with giftpay.connect(scripted.address, metadata=own) as client:
        await client.wallets.GetWallet(GetWalletRequest(), metadata=[("x-call", "1")])
        await client.wallets.GetWallet(GetWalletRequest())
        await first(client, 1)
        assert len([outcome async for outcome in client.send_gifts(gifts(1))]) == 1
    assert sent == [{**dict(own), "x-call": "1"}, dict(own), dict(own), dict(own)]


class Seen(grpc.aio.UnaryUnaryClientInterceptor):
    """Notes the request of each attempt."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.requests.append((details.method.decode().rpartition("/")[2], request))
        return await continuation(details, request)


async def test_interceptors_see_every_attempt_and_its_message(scripted: ScriptedServer) -> None:
    scripted.script("SendGift", StatusCode.UNAVAILABLE, SendGiftResponse(replayed=True))
    seen, request = Seen(), SendGiftRequest(gift_id="rose")
    async with giftpay.connect(scripted.address, interceptors=[seen]) as client:
        assert (await client.gifts.SendGift(request)).replayed
    assert [each for each in seen.requests if each[0] == "SendGift"] == [("SendGift", request)] * 2


async def test_a_refusal_passes_an_interceptor_unchanged(scripted: ScriptedServer) -> None:
    scripted.script(
        "SendGift", refusal_status(StatusCode.NOT_FOUND, "WALLET_NOT_FOUND", owner_id="anna")
    )
    async with giftpay.connect(scripted.address, interceptors=[Seen()]) as client:
        with pytest.raises(giftpay.WalletNotFound):
            await client.gifts.SendGift(SendGiftRequest())


async def test_interceptors_of_streams_are_called(scripted: ScriptedServer) -> None:
    class Streams(grpc.aio.UnaryStreamClientInterceptor):
        seen = 0

        async def intercept_unary_stream(
            self, continuation: Any, details: Any, request: Any
        ) -> Any:
            Streams.seen += 1
            return await continuation(details, request)

    scripted.script("WatchEntries", parts(part(1), then=StatusCode.UNAVAILABLE), parts(part(2)))
    async with giftpay.connect(scripted.address, interceptors=[Streams()]) as client:
        assert await first(client, 2) == [1, 2]
    assert Streams.seen == 2


async def test_an_invalid_interceptor_is_refused(scripted: ScriptedServer) -> None:
    with pytest.raises(ValueError, match="must be"):
        async with giftpay.connect(scripted.address, interceptors=[object()]):  # type: ignore[list-item]
            pass


async def test_a_call_of_a_closed_client_is_an_error(scripted: ScriptedServer) -> None:
    async with giftpay.connect(scripted.address) as client:
        pass
    with pytest.raises(RuntimeError, match="The client is closed"):
        await client.wallets.GetWallet(GetWalletRequest())
