"""The code in the client's README runs unchanged."""

import asyncio
import re
from pathlib import Path

import pytest
from giftpay.v1 import Balance, GetWalletResponse, Gift, SendGiftResponse, Wallet
from grpc import StatusCode

from tests.client.scripted import ScriptedServer, refusal_status
from tests.client.test_send_gifts import Ledger
from tests.client.test_watch import part, parts

README = Path(__file__).parents[2] / "client/README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


async def run(block: str) -> None:
    code = compile(block, str(README), "exec")
    await asyncio.to_thread(exec, code, {"__name__": "__main__"})


@pytest.fixture
def target(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTPAY_TARGET", scripted.address)


@pytest.mark.usefixtures("target")
async def test_the_first_block_sends_a_gift_or_prints_the_missing_coins(
    scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    short = refusal_status(
        StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_COINS", available=1, required=3
    )
    scripted.script("SendGift", SendGiftResponse(gift=Gift(coins=3, diamonds=3)), short)
    await run(BLOCKS[0])
    await run(BLOCKS[0])
    assert capsys.readouterr().out == "3 coins, 3 diamonds\n2 coins are missing\n"


@pytest.mark.usefixtures("target")
async def test_the_second_block_reads_a_wallet(
    scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet = Wallet(coins=Balance(available=40))
    scripted.script("GetWallet", GetWalletResponse(wallet=wallet))
    await run(BLOCKS[1])
    assert capsys.readouterr().out == "40 coins\n"


@pytest.mark.usefixtures("target")
async def test_the_third_block_reads_over_several_connections(
    scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet = Wallet(diamonds=Balance(available=7))
    scripted.script("GetWallet", GetWalletResponse(wallet=wallet))
    await run(BLOCKS[2])
    assert capsys.readouterr().out == "7 diamonds\n"


@pytest.mark.usefixtures("target")
async def test_the_fourth_block_streams(
    scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.script("StreamGifts", Ledger().play)
    scripted.script("WatchEntries", parts(part(*range(1, 101)), then="hang"))
    await run(BLOCKS[3])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 200
    assert lines[0].endswith(" gift")
    assert lines[-1].startswith("100 ")


def test_there_is_no_other_block() -> None:
    assert len(BLOCKS) == 4
