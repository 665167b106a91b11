"""A TCP proxy to Postgres that may drop its connections silently, as a NAT or a firewall does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

CHUNK = 64 << 10


@dataclass(slots=True, eq=False)
class Connection:
    """One connection through it; what a silent one is sent is swallowed, its end included."""

    silent: bool

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Passes on what comes, in one direction."""
        with suppress(ConnectionError):
            while chunk := await source.read(CHUNK):
                if not self.silent:
                    target.write(chunk)
                    await target.drain()
            if not self.silent:
                target.close()


class SilentProxy:
    """Listens on a port of its own for a Postgres that has a socket."""

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        where = parse_qs(self._dsn.query)
        self._socket = f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}"
        self._connections: dict[asyncio.Task[None] | None, Connection] = {}
        self._silent = False
        self.dsn = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SilentProxy]:
        """Takes connections at `dsn` while this lasts."""
        listening = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        where = urlencode({"host": "127.0.0.1", "port": port})
        self.dsn = self._dsn._replace(query=where).geturl()
        try:
            yield self
        finally:
            listening.close()
            tasks = [task for task in self._connections if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Swallows what comes on the connections that there are, for good, and on new ones."""
        self._silent = True
        for connection in self._connections.values():
            connection.silent = True
        try:
            yield
        finally:
            self._silent = False  # serves those that are made from now on

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, connection = asyncio.current_task(), Connection(self._silent)
        self._connections[task] = connection
        there, to_there = await asyncio.open_unix_connection(self._socket)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(connection.pump(reader, to_there))
                pumps.create_task(connection.pump(there, writer))
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            del self._connections[task]
            for end in (writer, to_there):
                end.close()
