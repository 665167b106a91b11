"""Other servers that may listen where a giftpay server is expected."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for localhost."""

    key: bytes
    chain: bytes

    @property
    def trust(self) -> grpc.ChannelCredentials:
        """The credentials of a client that trusts it."""
        return grpc.ssl_channel_credentials(self.chain)

    @property
    def server(self) -> grpc.ServerCredentials:
        """The credentials of a server that shows it."""
        return grpc.ssl_server_credentials([(self.key, self.chain)])


def new_certificate(folder: Path) -> Certificate:
    """A new certificate with its key, in files of the folder."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(chain)]
    subprocess.run([*new.split(), *name, *files], check=True, capture_output=True)
    return Certificate(key.read_bytes(), chain.read_bytes())


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """The port of a server that runs `serve` for each connection."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def http(status: str) -> Serve:
    """Answers every request of HTTP/1 with this status."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    return serve


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads everything and never answers."""
    while await reader.read(1_000):
        pass
    writer.close()


@asynccontextmanager
async def grpc_server(*handlers: grpc.GenericRpcHandler) -> AsyncIterator[str]:
    """A gRPC server with these services, which are not giftpay's; its address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
