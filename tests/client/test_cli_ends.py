"""Each way to end the program has one sentence and the documented exit code."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from giftpay.cli.commands import giftpay as commands
from giftpay.cli.exit_codes import MEANINGS, ExitCode
from giftpay.v1 import GetWalletResponse, Gift, SendGiftResponse
from grpc import StatusCode

from tests.client.command_line import ANNA, Run
from tests.client.program import Ended, end, start
from tests.client.scripted import ScriptedServer, refusal_status

README = Path(__file__).parents[2] / "client/README.md"

Execute = Callable[..., Awaitable[Ended]]


@pytest.fixture
def execute(scripted: ScriptedServer) -> Execute:
    """Runs the real program against the scripted server."""

    async def execute(*line: str | bytes, **options: Any) -> Ended:
        return await end(await start("--target", scripted.address, *line, **options))

    return execute


@pytest.fixture
def full() -> Iterator[int]:
    """A device with no space left."""
    with open("/dev/full", "wb") as device:
        yield device.fileno()


@pytest.fixture
def left() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def test_the_codes_are_those_of_the_readme() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README.read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    assert set(MEANINGS) == set(ExitCode)


async def test_an_answer_ends_with_0(scripted: ScriptedServer, execute: Execute) -> None:
    scripted.script("GetWallet", GetWalletResponse(wallet=ANNA))
    ended = await execute("wallet", "show", "anna")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("owner ")


async def test_a_refusal_ends_with_1(scripted: ScriptedServer, execute: Execute) -> None:
    scripted.script(
        "GetWallet", refusal_status(StatusCode.NOT_FOUND, "WALLET_NOT_FOUND", owner_id="anna")
    )
    ended = await execute("wallet", "show", "anna")
    assert ended.code == 1
    assert ended.stderr.startswith("refused: WALLET_NOT_FOUND ")


async def test_a_refusal_that_cannot_be_written_ends_with_1(
    scripted: ScriptedServer, execute: Execute, full: int
) -> None:
    scripted.script(
        "GetWallet", refusal_status(StatusCode.NOT_FOUND, "WALLET_NOT_FOUND", owner_id="anna")
    )
    assert (await execute("wallet", "show", "anna", stderr=full)).code == 1


@pytest.mark.parametrize("seconds", ["nan", "-nan", "inf", "-inf", "0", "-1", "1e999", "soon", ""])
async def test_an_invalid_timeout_ends_with_2(execute: Execute, seconds: str) -> None:
    ended = await execute(f"--timeout={seconds}", "wallet", "show", "anna")
    assert ended.code == 2
    assert "Invalid value for '--timeout'" in ended.stderr


@pytest.mark.parametrize(
    "line",
    [
        [b"wallet", b"show", b"an\xffna"],
        [b"send", b"anna", b"ben", b"rose", b"--message=\xff"],
        [b"send", b"anna", b"ben", b"rose", b"--key=\xed\xa0\x80"],
        [b"catalog", b"apply", b"\xff.toml"],
        [b"\xff"],
    ],
)
async def test_arguments_that_are_not_utf8_end_with_2(
    scripted: ScriptedServer, execute: Execute, line: list[bytes]
) -> None:
    ended = await execute(*line)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert "is not UTF-8" in ended.stderr
    assert not scripted.asked


async def test_a_variable_that_is_not_utf8_ends_with_2() -> None:
    environment = {**os.environb, b"GIFTPAY_TARGET": b"\xff:1"}
    ended = await end(await start("verify", env=environment))
    assert (ended.code, ended.stderr) == (2, "Error: GIFTPAY_TARGET is not UTF-8: b'\\xff:1'\n")


async def test_standard_input_that_is_not_utf8_ends_with_2(execute: Execute) -> None:
    read, write = os.pipe()
    os.write(write, b"gifts = '\xff'")
    os.close(write)
    ended = await execute("catalog", "apply", "/dev/stdin", stdin=read)
    os.close(read)
    assert ended.code == 2
    assert "/dev/stdin: It is not UTF-8 (at line 1, column 10)" in ended.stderr


BEYOND = str(2**63)


def numbers() -> Iterator[list[str]]:
    """A line for each whole number of each command, with a number of more than 64 bits."""
    for path, command in of_groups(commands):
        for parameter in command.params:
            if isinstance(parameter.type, click.types.IntParamType):
                values = [*arguments(command, parameter)]
                is_option = isinstance(parameter, click.Option)
                yield [*path, *values, *[f"{parameter.opts[0]}={BEYOND}"] * is_option]


def arguments(command: click.Command, beyond: click.Parameter) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield BEYOND if parameter is beyond else "1"


def of_groups(group: click.Group, *path: str) -> Iterator[tuple[list[str], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from of_groups(command, *path, name)
        else:
            yield [*path, name], command


@pytest.mark.parametrize("line", [*numbers()], ids=" ".join)
async def test_a_number_of_more_than_64_bits_ends_with_2(run: Run, line: list[str]) -> None:
    assert (await run(*line)).exit_code == 2


@pytest.mark.parametrize("line", [["--help"], ["--version"], ["send", "--help"]])
async def test_help_that_cannot_be_written_ends_with_4(line: list[str], full: int) -> None:
    ended = await end(await start(*line, stdout=full))
    assert ended.code == 4
    assert ended.stderr == "The output cannot be written: No space left on device.\n"


async def test_an_answer_that_cannot_be_written_ends_with_4(
    scripted: ScriptedServer, execute: Execute, full: int
) -> None:
    scripted.script("SendGift", SendGiftResponse())
    ended = await execute("send", "anna", "ben", "rose", "--key=k", stdout=full)
    assert ended.code == 4
    assert ended.stderr == "key: k\nThe output cannot be written: No space left on device.\n"


async def test_a_key_that_cannot_be_written_is_not_sent(
    scripted: ScriptedServer, execute: Execute, full: int
) -> None:
    ended = await execute("send", "anna", "ben", "rose", stderr=full)
    assert (ended.code, ended.stdout) == (4, "")
    assert not scripted.asked


async def test_a_closed_pipe_ends_with_4_and_without_a_sentence(
    scripted: ScriptedServer, execute: Execute, left: int
) -> None:
    scripted.script("GetWallet", GetWalletResponse(wallet=ANNA))
    ended = await execute("wallet", "show", "anna", stdout=left)
    assert (ended.code, ended.stderr) == (4, "")


async def test_wrong_use_that_cannot_be_written_ends_with_2(full: int) -> None:
    assert (await end(await start("nothing", stdout=full, stderr=full))).code == 2


async def test_characters_that_the_encoding_lacks_are_escaped(
    scripted: ScriptedServer, execute: Execute
) -> None:
    scripted.script("SendGift", SendGiftResponse(gift=Gift(message="Grüße 🎁")))
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ended = await execute("send", "anna", "ben", "rose", "--key=k", env=environment)
    assert ended.code == 0
    assert "message   Grüße \\U0001f381" in ended.stdout


@pytest.mark.parametrize(
    "target", ["127.0.0.1:1", "unix:/nowhere", "nowhere.invalid:1", "dns:///nowhere.invalid:1"]
)
async def test_an_unreachable_server_ends_with_3(target: str) -> None:
    ended = await end(await start("--target", target, "--timeout=5", "verify"))
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("unavailable: ")


@pytest.mark.parametrize(
    "target", ["http://localhost:50051", "localhost:99999", "[::1", ":::", "a b:1"]
)
async def test_an_invalid_target_ends_with_2(target: str) -> None:
    ended = await end(await start("--target", target, "--timeout=5", "verify"))
    assert (ended.code, ended.stdout) == (2, "")
    assert f"The target {target!r} " in ended.stderr


def test_a_defect_ends_with_3_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise KeyError("missing")

    monkeypatch.setattr(commands.commands["verify"], "callback", broken)
    ended = CliRunner().invoke(commands, ["verify"])
    assert ended.exit_code == 3
    assert ended.stderr.startswith("defect of this program, please report it: KeyError: 'missing'")
