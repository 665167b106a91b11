"""A process that is forked from one with an open client is told so, and hangs nowhere."""

import asyncio
import sys

import pytest
from giftpay.v1 import GetWalletResponse

from tests.client.scripted import ScriptedServer

CHILD = """
import asyncio, os, sys
import giftpay
from giftpay.v1 import UNIT_COIN, GetWalletRequest, SendGiftRequest

def told(call):
    try:
        call()
    except RuntimeError as error:
        assert "was open when this process was forked" in str(error), error
    else:
        raise AssertionError("it was not told")

def forked(child):
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""
BLOCKING = """
with giftpay.connect_sync() as client:
    read = lambda: client.wallets.GetWallet(GetWalletRequest(), timeout=3)
    read()
    def child():
        told(read)
        told(lambda: next(client.watch("anna", UNIT_COIN)))
        told(lambda: list(client.send_gifts([SendGiftRequest()])))
        told(lambda: giftpay.connect_sync().__enter__())
        told(lambda: giftpay.connect())
    forked(child)
    read()
"""
LEAVING = """
def main():
    with giftpay.connect_sync() as client:
        client.wallets.GetWallet(GetWalletRequest())
        if os.fork() == 0:
            return
        _, status = os.wait()
        assert status == 0, status
        client.wallets.GetWallet(GetWalletRequest())
main()
"""
ASYNCIO = """
async def main():
    async with giftpay.connect() as client:
        await client.wallets.GetWallet(GetWalletRequest())
        def child():
            told(lambda: client.wallets.GetWallet(GetWalletRequest()))
            told(lambda: client.wallets.WatchEntries(GetWalletRequest()))
            told(lambda: giftpay.connect())
        forked(child)
        if os.fork() != 0:
            _, status = os.wait()
            assert status == 0, status
            await client.wallets.GetWallet(GetWalletRequest())
            return
    os._exit(0)  # the child has left the client; its loop is the parent's
asyncio.run(main())
"""
AFTERWARDS = """
def read():
    with giftpay.connect_sync() as client:
        client.wallets.GetWallet(GetWalletRequest())
read()
forked(read)
"""


@pytest.mark.parametrize(
    "program",
    [BLOCKING, LEAVING, ASYNCIO, AFTERWARDS],
    ids=["blocking", "leaving", "asyncio", "afterwards"],
)
async def test_a_fork_is_noticed(scripted: ScriptedServer, program: str) -> None:
    scripted.script("GetWallet", GetWalletResponse())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", CHILD + program),
        env={"GIFTPAY_TARGET": scripted.address, "PYTHONPATH": ":".join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, said.decode()
