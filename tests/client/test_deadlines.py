"""Every call ends by its deadline, and a wrong target is reported at once."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from time import monotonic

import giftpay
import grpc
import pytest
from giftpay import unary
from giftpay.v1 import GetWalletRequest, SendGiftRequest, SendGiftResponse
from grpc import StatusCode

from tests.client.scripted import Context, ScriptedServer, serving


async def hang(_: object, __: Context) -> None:
    await asyncio.sleep(30)


async def test_a_call_may_set_its_timeout(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    scripted.script("SendGift", hang)
    request = SendGiftRequest()
    with pytest.raises(giftpay.OutcomeUnknown) as unknown:
        await caller.gifts.SendGift(request, timeout=0.2)
    assert unknown.value.code is StatusCode.DEADLINE_EXCEEDED
    assert unknown.value.key == request.idempotency_key


async def test_a_call_has_the_timeout_of_the_client_by_default(
    scripted: ScriptedServer,
) -> None:
    scripted.script("GetWallet", hang)
    async with giftpay.connect(scripted.address, timeout=0.2) as caller:
        with pytest.raises(giftpay.Unavailable) as unavailable:
            await caller.wallets.GetWallet(GetWalletRequest())
    assert unavailable.value.code is StatusCode.DEADLINE_EXCEEDED


async def test_every_attempt_sends_the_remaining_time(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    left: list[float] = []

    async def look(_: SendGiftRequest, context: Context) -> SendGiftResponse:
        left.append(context.time_remaining())
        await asyncio.sleep(0.1)
        if len(left) < 4:
            await context.abort(StatusCode.UNAVAILABLE, "not yet")
        return SendGiftResponse()

    scripted.script("SendGift", look)
    await caller.gifts.SendGift(SendGiftRequest(), timeout=5)
    assert 4.5 < left[0] < 5.1  # gRPC rounds it on the way
    assert left[-1] < left[0] - 0.2


async def test_retries_end_at_the_deadline(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("SendGift", StatusCode.UNAVAILABLE)
    began = monotonic()
    with pytest.raises(giftpay.OutcomeUnknown):
        await caller.gifts.SendGift(SendGiftRequest(), timeout=0.5)
    assert monotonic() - began < 2
    assert len(scripted.asked["SendGift"]) > 1


async def test_nobody_listening_is_reported_at_once_with_the_target() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and does not listen
        target = f"127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(giftpay.Unavailable, match=f"No giftpay server answers at {target}"):
            async with asyncio.timeout(5), giftpay.connect(target, timeout=60):
                pass


async def test_a_silent_listener_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        target = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(giftpay.Unavailable, match=target):
            async with giftpay.connect(target, timeout=0.3):
                pass


async def test_the_target_comes_from_the_environment(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIFTPAY_TARGET", scripted.address)
    scripted.script("SendGift", SendGiftResponse())
    async with giftpay.connect() as caller:
        await caller.gifts.SendGift(SendGiftRequest())


async def test_credentials_make_a_secure_connection() -> None:
    script = ScriptedServer()
    script.script("SendGift", SendGiftResponse())
    async with serving(script, credentials=grpc.local_server_credentials()):
        credentials = grpc.local_channel_credentials()
        async with giftpay.connect(script.address, credentials=credentials) as caller:
            await caller.gifts.SendGift(SendGiftRequest())


async def end_by_closing(connecting: AbstractAsyncContextManager[giftpay.Client]) -> None:
    """Closes a client with a command and a read in flight; neither outcome is known."""
    request = SendGiftRequest()
    async with connecting as caller:
        command = asyncio.ensure_future(caller.gifts.SendGift(request))
        read = asyncio.ensure_future(caller.wallets.GetWallet(GetWalletRequest()))
        await asyncio.sleep(0.1)
    with pytest.raises(giftpay.OutcomeUnknown, match="closed") as unknown:
        await command
    assert unknown.value.key == request.idempotency_key
    with pytest.raises(giftpay.Unavailable, match="closed"):
        await read


async def test_closing_the_client_ends_its_calls(scripted: ScriptedServer) -> None:
    scripted.script("SendGift", hang)
    scripted.script("GetWallet", hang)
    await end_by_closing(giftpay.connect(scripted.address))


@pytest.mark.parametrize("coalesce", [False, True])
async def test_closing_the_client_ends_the_calls_that_wait_for_another_attempt(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, coalesce: bool
) -> None:
    monkeypatch.setattr(unary, "backoff_s", lambda _: 0.3)
    scripted.script("SendGift", StatusCode.UNAVAILABLE)
    scripted.script("GetWallet", StatusCode.UNAVAILABLE)
    await end_by_closing(giftpay.connect(scripted.address, coalesce=coalesce))


@pytest.mark.parametrize("coalesce", [False, True])
async def test_a_call_that_is_awaited_after_closing_was_not_sent(
    scripted: ScriptedServer, coalesce: bool
) -> None:
    async with giftpay.connect(scripted.address, coalesce=coalesce) as caller:
        call = caller.gifts.SendGift(SendGiftRequest())
    with pytest.raises(RuntimeError, match="The client is closed"):
        await call
