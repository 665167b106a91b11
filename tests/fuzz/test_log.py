"""A caller can neither inject lines into the server's log nor cause a logged defect."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

from tests.faults.connections import close
from tests.faults.fault_proxy import tcp
from tests.fuzz.frames import GOAWAY, OPENING, call, frame, with_header
from tests.stories.processes import server_process, until

FORGED = b"\n2026-01-01 00:00:00,000 ERROR forged: \x1b[31m"
NO_TEXT = with_header(":path", "/giftpay.v1.GiftService/Send\xdb")


async def test_bytes_of_a_caller_are_neither_log_lines_nor_defects(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    async with server_process(DATABASE_URL=await new_database()) as server:
        await send(server.address, frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11) + FORGED))
        await send(server.address, call(1, b"", NO_TEXT))
        await until(lambda: "headers are no text" in server.log())
        assert "forged" not in server.log()
        assert " ERROR " not in server.log()


async def send(address: str, data: bytes) -> None:
    """Sends frames on a connection of their own and reads what the server says to that."""
    reader, writer = await tcp(address)()
    writer.write(OPENING + data)
    await asyncio.wait_for(reader.read(1), 10)
    close(writer, reset=False)
