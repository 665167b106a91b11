"""Ctrl-C ends the program at any point with 130 and without a traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import giftpay
import pytest

from tests.client.command_line import ROSE
from tests.client.program import end, start
from tests.client.scripted import ScriptedServer
from tests.client.test_watch import parts


async def test_interrupted_while_it_watches_it_ends_with_130(scripted: ScriptedServer) -> None:
    answer = giftpay.v1.WatchEntriesResponse(entries=[ROSE])
    scripted.script("WatchEntries", parts(answer, then="hang"))
    program = await start(
        "--target", scripted.address, "statement", "anna", "--watch", "--after-seq=2"
    )
    assert program.stdout
    for _ in range(2):  # the heads and the entry: it is watching now
        await asyncio.wait_for(program.stdout.readline(), 30)
    program.send_signal(signal.SIGINT)
    ended = await end(program)
    assert (ended.code, ended.stderr) == (130, "")


async def test_interrupted_while_it_connects_it_ends_with_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        program = await start("--target", target, "--timeout=60", "send", "anna", "ben", "rose")
        connection, _ = await asyncio.get_running_loop().sock_accept(silent)
        with connection:
            program.send_signal(signal.SIGINT)
            ended = await end(program)
    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "")


CALLS = {
    "SendGift": ["send", "anna", "ben", "rose", "--key=k"],
    "GetWallet": ["wallet", "show", "anna"],
    "VerifyLedger": ["verify"],
    "ApplyCatalog": ["catalog", "apply", "/dev/null", "--key=k"],
}


@pytest.mark.parametrize("rpc", CALLS)
async def test_interrupted_during_a_call_it_ends_with_130(
    scripted: ScriptedServer, rpc: str
) -> None:
    arrived = asyncio.Event()

    async def hang(*_: object) -> None:
        arrived.set()
        await asyncio.Event().wait()

    scripted.script(rpc, hang)
    program = await start("--target", scripted.address, "--timeout=60", *CALLS[rpc])
    await asyncio.wait_for(arrived.wait(), 30)
    program.send_signal(signal.SIGINT)
    ended = await end(program)
    assert (ended.code, ended.stdout) == (130, "")
    assert ended.stderr == ("key: k\n" if "--key=k" in CALLS[rpc] else "")


async def test_interrupted_as_it_waits_for_a_file_it_ends_with_130(tmp_path: Path) -> None:
    pipe = tmp_path / "catalog.toml"
    os.mkfifo(pipe)
    program = await start("catalog", "apply", str(pipe))
    writer = await asyncio.to_thread(open, pipe, "wb")  # returns once the program reads
    program.send_signal(signal.SIGINT)
    ended = await end(program)
    await asyncio.to_thread(writer.close)
    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "")
