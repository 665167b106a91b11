"""A sandbox over real HTTP, and providers that misbehave in ways that it does not."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from giftpay_server.sandbox import running_sandbox

Answer = tuple[int, Any]


@pytest.fixture(scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as opened:
        yield opened


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[str]:
    async with running_sandbox() as url:
        yield url


@pytest.fixture
def post(session: aiohttp.ClientSession, sandbox: str) -> Callable[..., Awaitable[Answer]]:
    """Posts a body, and answers with the status and the JSON that came back."""

    async def send(
        path: str, body: Any = None, *, key: str | None = None, url: str = sandbox
    ) -> Answer:
        headers = {} if key is None else {"Idempotency-Key": key}
        async with session.post(url + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    return send


@pytest.fixture
def get(session: aiohttp.ClientSession, sandbox: str) -> Callable[..., Awaitable[Answer]]:
    async def send(path: str, *, url: str = sandbox) -> Answer:
        async with session.get(url + path) as response:
            return response.status, await response.json()

    return send


@pytest.fixture(scope="session")
def new() -> Callable[[str], str]:
    """Makes a name that no other test uses: `new("key")` is key-1, then key-2."""
    numbers = itertools.count(1)
    return lambda noun: f"{noun}-{next(numbers)}"


@pytest.fixture
def script(post: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[None]]:
    """Scripts the next payouts for a destination, or payments under a reference."""

    async def send(
        *steps: dict[str, Any],
        destination: str | None = None,
        reference: str | None = None,
        call: str = "submit",
    ) -> None:
        kind = "payout" if reference is None else "payment"
        match = {"destination": destination} if reference is None else {"reference": reference}
        status, _ = await post(
            "/scripts", {"kind": kind, "call": call, "match": match, "steps": list(steps)}
        )
        assert status == 201

    return send


@pytest.fixture(scope="session")
def misbehaving() -> Callable[..., AbstractAsyncContextManager[str]]:
    """Sends one raw answer to every request, then closes the connection; None sends nothing."""

    @asynccontextmanager
    async def serve(answer: bytes | None) -> AsyncIterator[str]:
        stopped = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await stopped.wait()
            else:
                writer.write(answer)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            yield f"http://{host}:{port}"
            stopped.set()

    return serve


@pytest.fixture(scope="session")
def http_answer() -> Callable[..., bytes]:
    """The bytes of an HTTP answer with a JSON body."""

    def make(status: int, body: Any, *, location: str = "") -> bytes:
        text = json.dumps(body)
        head = [
            f"HTTP/1.1 {status} Said",
            f"Content-Length: {len(text)}",
            "Connection: close",
            *([f"Location: {location}"] if location else []),
        ]
        return "\r\n".join([*head, "", text]).encode()

    return make
