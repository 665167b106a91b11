"""Following an account: every entry once and in order, over any number of streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import giftpay
import pytest
from giftpay import connections, watch
from giftpay.v1 import UNIT_COIN, Entry, WatchEntriesRequest, WatchEntriesResponse
from grpc import StatusCode

from tests.client.scripted import BROKEN, PERMANENT, Context, Play, ScriptedServer, refusal_status


def part(*seqs: int) -> WatchEntriesResponse:
    """A part of the stream; without entries, a heartbeat."""
    return WatchEntriesResponse(entries=[Entry(owner_id="anna", seq=seq) for seq in seqs])


def parts(*answers: WatchEntriesResponse, then: object = None) -> Play:
    """A stream that delivers these, and then ends, hangs, or ends with a status."""

    async def play(_: WatchEntriesRequest, context: Context) -> AsyncIterator[WatchEntriesResponse]:
        for answer in answers:
            yield answer
        if isinstance(then, StatusCode):
            await context.abort(then, "as scripted")
        if then == "hang":
            await asyncio.sleep(30)

    return play


async def first(caller: giftpay.Client, count: int, *, after_seq: int = 0) -> list[int]:
    """The seqs of the first entries."""
    seqs: list[int] = []
    async with aclosing(caller.watch("anna", UNIT_COIN, after_seq=after_seq)) as entries:
        async for entry in entries:
            seqs.append(entry.seq)
            if len(seqs) == count:
                break
    return seqs


async def test_existing_entries_come_first_and_then_new_ones(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("WatchEntries", parts(part(4, 5), part(), part(6), then="hang"))
    assert await first(caller, 3, after_seq=3) == [4, 5, 6]
    [asked] = scripted.asked["WatchEntries"]
    assert asked == WatchEntriesRequest(owner_id="anna", unit=UNIT_COIN, after_seq=3)


@pytest.mark.parametrize("lost", [*BROKEN, None])
async def test_a_lost_stream_is_resumed_after_the_last_entry(
    scripted: ScriptedServer, caller: giftpay.Client, lost: StatusCode | None
) -> None:
    scripted.script(
        "WatchEntries",
        parts(part(1, 2), then=lost),
        StatusCode.UNAVAILABLE,
        parts(part(3), part(4, 5), then=lost),
        parts(part(6), then="hang"),
    )
    assert await first(caller, 6) == [1, 2, 3, 4, 5, 6]
    assert [asked.after_seq for asked in scripted.asked["WatchEntries"]] == [0, 2, 2, 5]


@pytest.mark.parametrize("code", PERMANENT)
async def test_a_stream_with_a_permanent_failure_is_not_resumed(
    scripted: ScriptedServer, caller: giftpay.Client, code: StatusCode
) -> None:
    scripted.script("WatchEntries", parts(part(1), then=code))
    with pytest.raises(giftpay.Unavailable) as ended:
        await first(caller, 2)
    assert ended.value.code is code
    assert len(scripted.asked["WatchEntries"]) == 1


async def test_repeated_failures_are_logged(
    scripted: ScriptedServer,
    caller: giftpay.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(watch, "FAILURES_LOGGED", 2)
    broken = [StatusCode.INTERNAL] * 3
    scripted.script("WatchEntries", *broken, parts(part(1), then="hang"))
    assert await first(caller, 1) == [1]
    [record] = caplog.records
    assert "no stream after 2 attempts" in record.message
    assert "INTERNAL: as scripted" in record.message


async def test_a_slow_reader_resumes_after_its_last_entry(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    slow = refusal_status(StatusCode.ABORTED, "SLOW_READER", last_seq=1)
    scripted.script("WatchEntries", parts(part(1), then=None), slow, parts(part(2), then="hang"))
    assert await first(caller, 2) == [1, 2]


async def test_a_silent_stream_is_replaced(
    scripted: ScriptedServer, caller: giftpay.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE_MAX_S", 0.2)
    scripted.script("WatchEntries", parts(part(1), then="hang"), parts(part(2), then="hang"))
    assert await first(caller, 2) == [1, 2]


@pytest.mark.parametrize("seq", [1, 3])
async def test_an_entry_out_of_order_is_an_error(
    scripted: ScriptedServer, caller: giftpay.Client, seq: int
) -> None:
    scripted.script("WatchEntries", parts(part(1), part(seq), then="hang"))
    with pytest.raises(giftpay.GiftpayError, match=f"Entry {seq} arrived in place of 2"):
        await first(caller, 2)


async def test_a_refusal_ends_it(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    scripted.script(
        "WatchEntries", refusal_status(StatusCode.NOT_FOUND, "WALLET_NOT_FOUND", owner_id="anna")
    )
    with pytest.raises(giftpay.WalletNotFound):
        await first(caller, 1)
    assert len(scripted.asked["WatchEntries"]) == 1


async def test_closing_the_iterator_ends_the_stream_at_the_server(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    ended = asyncio.Event()

    async def play(_: WatchEntriesRequest, __: Context) -> AsyncIterator[WatchEntriesResponse]:
        try:
            yield part(1)
            await asyncio.sleep(30)
        finally:
            ended.set()

    scripted.script("WatchEntries", play)
    await first(caller, 1)
    async with asyncio.timeout(5):
        await ended.wait()


async def test_closing_the_client_ends_it(scripted: ScriptedServer) -> None:
    scripted.script("WatchEntries", parts(part(1), then="hang"))
    async with giftpay.connect(scripted.address) as caller:
        watching = asyncio.create_task(first(caller, 2))
        await asyncio.sleep(0.1)
    with pytest.raises(giftpay.Unavailable, match="closed"):
        await watching


async def test_leaving_a_quiet_stream_costs_no_connection(
    scripted: ScriptedServer, caller: giftpay.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = set()

    async def quiet(
        _: WatchEntriesRequest, context: Context
    ) -> AsyncIterator[WatchEntriesResponse]:
        peers.add(context.peer())
        await asyncio.sleep(30)
        yield WatchEntriesResponse()

    monkeypatch.setattr(connections, "PING_AFTER_S", 0.1)
    scripted.script("WatchEntries", quiet)
    for _ in range(3):
        leaving = asyncio.ensure_future(anext(caller.watch("anna", UNIT_COIN)))
        await asyncio.sleep(0.2)
        leaving.cancel()
        await asyncio.wait([leaving])
    assert len(peers) == 1
