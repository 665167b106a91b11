"""The faults of the proxy, with a target that echoes everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from tests.faults.fault_proxy import (
    CLIENT,
    DOWN,
    EXISTING,
    NEW,
    TARGET,
    UP,
    FaultProxy,
    Streams,
    fault_proxy,
    tcp,
)
from tests.faults.faults import BlackHole, Cut, Delay, Outage, Trickle

Dial: TypeAlias = Callable[[], Awaitable[Streams]]

SHORT_S = 0.2  # in which what passes at all has come


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with fault_proxy(tcp(f"127.0.0.1:{port}")) as proxy:
        yield proxy
    server.close()


@pytest.fixture
async def dial(proxy: FaultProxy) -> AsyncIterator[Dial]:
    """Opens connections through the proxy, and closes them in the end."""
    writers = []

    async def open_one() -> Streams:
        streams = await tcp(proxy.address)()
        writers.append(streams[1])
        return streams

    yield open_one
    for writer in writers:
        writer.transport.abort()


async def used(dial: Dial) -> Streams:
    """A connection that has carried something both ways."""
    streams = await dial()
    assert await echoed(streams, b"hello") == b"hello"
    return streams


async def echoed(streams: Streams, data: bytes) -> bytes:
    """What comes back; b"" at the end of the connection."""
    streams[1].write(data)
    return await streams[0].read(1 << 16)


async def is_silent(streams: Streams, data: bytes = b"x") -> bool:
    """Nothing comes back, not even the end."""
    streams[1].write(data)
    try:
        await asyncio.wait_for(streams[0].read(1), SHORT_S)
    except TimeoutError:
        return True
    return False


async def test_without_a_fault_everything_passes(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    streams[1].write(b"a" * 1_000_000)
    assert await streams[0].readexactly(1_000_000) == b"a" * 1_000_000
    streams[1].close()
    await proxy.until(lambda: not proxy.connections)


async def test_a_delay_is_of_its_way_and_ends(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    now = asyncio.get_running_loop().time
    begun = now()
    with proxy.failing(Delay(SHORT_S), DOWN):
        assert await echoed(streams, b"x") == b"x"
    assert now() - begun >= SHORT_S
    assert await echoed(streams, b"y") == b"y"


async def test_a_trickle_comes_in_pieces(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    with proxy.failing(Trickle(size=2, pause_s=0.02), DOWN):
        streams[1].write(b"abcdef")
        assert [await streams[0].read(100) for _ in range(3)] == [b"ab", b"cd", b"ef"]


async def test_a_cut_comes_after_its_bytes_and_with_fin(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    with proxy.failing(Cut(after=3, reset=False), DOWN):
        assert await echoed(streams, b"abcdef") == b"abc"
        assert await streams[0].read(1) == b""


async def test_a_cut_may_come_with_reset(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    with proxy.failing(Cut(after=3), UP):
        streams[1].write(b"abcdef")
        with pytest.raises(ConnectionResetError):
            await streams[0].read(-1)


async def test_a_black_hole_loses_bytes_permanently(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    with proxy.failing(BlackHole(), on=EXISTING):
        assert await is_silent(streams, b"lost")
        await proxy.until(lambda: proxy.swallowed(UP) == len(b"lost"))
        await used(dial)  # a new one is sound
    assert await is_silent(streams)


async def test_a_black_hole_accepts_new_connections_and_sends_nothing(
    proxy: FaultProxy, dial: Dial
) -> None:
    with proxy.failing(BlackHole(), on=NEW):
        assert await is_silent(await dial())
    await used(dial)


async def test_a_black_hole_may_be_of_one_way(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    with proxy.failing(BlackHole(), DOWN):
        assert await is_silent(streams)
        assert proxy.swallowed(UP) == 0


async def test_after_an_outage_everything_arrives(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    with proxy.failing(Outage()):
        assert await is_silent(streams, b"late")
    assert await streams[0].readexactly(4) == b"late"


async def test_a_half_open_connection_ends_at_one_end_alone(proxy: FaultProxy, dial: Dial) -> None:
    one = await used(dial)
    proxy.half_open(TARGET)
    assert await is_silent(one)
    two = await used(dial)
    proxy.half_open(CLIENT)
    assert await two[0].read(1) == b""
    assert len(proxy.connections) == 2  # the target still has its end of both


async def test_a_refusing_proxy_has_nobody_on_its_port(proxy: FaultProxy, dial: Dial) -> None:
    streams = await used(dial)
    async with proxy.refusing():
        with pytest.raises(ConnectionRefusedError):
            await dial()
        assert await echoed(streams, b"goes on") == b"goes on"
    await used(dial)
    assert proxy.taken == 2
