"""A process that is forked from one with an open client raises errors and never hangs."""

import asyncio
import sys

import pytest
from giftpay.v1 import GetWalletResponse

from tests.client.scripted import ScriptedServer

CHILD = """
import asyncio, os, sys
import giftpay
from giftpay.v1 import UNIT_COIN, GetWalletRequest, SendGiftRequest

def assert_refused(call):
    try:
        call()
    except RuntimeError as error:
        assert "was open when this process was forked" in str(error), error
    else:
        raise AssertionError("no error was raised")

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
        assert_refused(read)
        assert_refused(lambda: next(client.watch("anna", UNIT_COIN)))
        assert_refused(lambda: list(client.send_gifts([SendGiftRequest()])))
        assert_refused(lambda: giftpay.connect_sync().__enter__())
        assert_refused(lambda: giftpay.connect())
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
            assert_refused(lambda: client.wallets.GetWallet(GetWalletRequest()))
            assert_refused(lambda: client.wallets.WatchEntries(GetWalletRequest()))
            assert_refused(lambda: giftpay.connect())
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
async def test_a_fork_is_detected(scripted: ScriptedServer, program: str) -> None:
    scripted.script("GetWallet", GetWalletResponse())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", CHILD + program),
        env={"GIFTPAY_TARGET": scripted.address, "PYTHONPATH": ":".join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, stderr.decode()
