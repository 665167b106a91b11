"""The command line: keys, refusals, exit codes and JSON."""

import asyncio
import json
from pathlib import Path

import giftpay
import pytest
from click.testing import CliRunner
from giftpay.cli.commands import giftpay as commands
from giftpay.v1 import (
    GetWalletRequest,
    GetWalletResponse,
    SendGiftResponse,
)
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from tests.client.command_line import ANNA, ROSE, Run, cells_of
from tests.client.scripted import ScriptedServer, refusal_status
from tests.client.test_watch import parts


async def test_a_command_is_repeated_with_its_key(scripted: ScriptedServer, run: Run) -> None:
    scripted.script("SendGift", SendGiftResponse())
    first = await run("send", "anna", "ben", "rose")
    key = first.stderr.removeprefix("key: ").strip()
    again = await run("send", "anna", "ben", "rose", "--key", key)
    assert again.stderr == first.stderr
    one, two = scripted.asked["SendGift"]
    assert one == two


async def test_json_is_the_answer_on_one_line(scripted: ScriptedServer, run: Run) -> None:
    scripted.script("GetWallet", GetWalletResponse(wallet=ANNA))
    result = await run("wallet", "show", "anna", "--as-of", "2026-11-18T11:06:40Z", "--json")
    [line] = result.stdout.splitlines()
    wallet = json.loads(line)["wallet"]
    assert (wallet["owner_id"], wallet["coins"]["available"]) == ("anna", "1234560")
    assert scripted.asked["GetWallet"] == [
        GetWalletRequest(owner_id="anna", as_of_time=Timestamp(seconds=1_795_000_000))
    ]


async def test_a_refusal_is_one_line_with_reason_and_figures(
    scripted: ScriptedServer, run: Run
) -> None:
    figures = {"owner_id": "anna", "available": 40, "required": 100}
    scripted.script(
        "SendGift", refusal_status(StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_COINS", **figures)
    )
    result = await run("send", "anna", "ben", "applause", "--key=k")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "key: k\n"
        "refused: INSUFFICIENT_COINS available=40 owner_id=anna required=100"
        " (INSUFFICIENT_COINS as scripted.)\n"
    )


async def test_a_malformed_argument_is_reported_once(scripted: ScriptedServer, run: Run) -> None:
    wrong = {"field": "owner_id", "limit": "1..64 characters"}
    scripted.script(
        "GetWallet", refusal_status(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", **wrong)
    )
    result = await run("wallet", "show", "a b")
    assert result.stderr == "refused: INVALID_ARGUMENT (INVALID_ARGUMENT as scripted.)\n"


@pytest.mark.parametrize(
    "line",
    [
        ["verify", "--since=yesterday"],
        ["verify", "--since=0001-01-01T00:00:00+01:00"],
        ["wallet", "show", "anna", "--as-of=12:30"],
    ],
)
async def test_a_malformed_time_is_refused_with_an_example(run: Run, line: list[str]) -> None:
    result = await run(*line)
    assert "must be a time such as 2026-12-01T18:30:00Z" in result.stderr


async def test_with_json_a_refusal_is_json(scripted: ScriptedServer, run: Run) -> None:
    scripted.script(
        "GetWallet", refusal_status(StatusCode.NOT_FOUND, "WALLET_NOT_FOUND", owner_id="anna")
    )
    result = await run("wallet", "show", "anna", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"] == {
        "kind": "refused",
        "reason": "WALLET_NOT_FOUND",
        "message": "WALLET_NOT_FOUND as scripted.",
        "metadata": {"owner_id": "anna"},
        "key": "",
    }


async def test_an_unknown_outcome_names_the_key(scripted: ScriptedServer, run: Run) -> None:
    scripted.script("SendGift", StatusCode.DEADLINE_EXCEEDED)
    result = await run("send", "anna", "ben", "rose", "--key=k")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[1:] == [
        "outcome unknown: DEADLINE_EXCEEDED: as scripted Repeat it with --key k"
    ]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (
            refusal_status(StatusCode.INTERNAL, "INTERNAL", incident="5f0e6c1a"),
            "server defect: INTERNAL",
        ),
        (StatusCode.DEADLINE_EXCEEDED, "unavailable: DEADLINE_EXCEEDED"),
    ],
)
async def test_a_read_without_an_answer_ends_with_3(
    scripted: ScriptedServer, run: Run, step: StatusCode, kind: str
) -> None:
    scripted.script("GetTrialBalance", step)
    result = await run("trial-balance")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith(kind)


async def test_nobody_listening_ends_with_3() -> None:
    line = ["--target", "127.0.0.1:1", "verify"]
    result = await asyncio.to_thread(CliRunner().invoke, commands, line)
    assert result.exit_code == 3
    message = "unavailable: No giftpay server answers at 127.0.0.1:1: nothing listens there."
    assert result.stderr.startswith(message)


@pytest.mark.parametrize(
    "line",
    [
        ["wallet", "open", "anna"],
        ["wallet", "open", "anna", "--country=DE", "--born=2000-01-01", "--age-verified"],
        ["wallet", "show", "anna", "--as-of=yesterday"],
        ["send", "anna", "ben", "rose", "--count=0"],
        ["send", "anna", "ben", "rose", "--count=10001"],
        ["--timeout=0", "wallet", "show", "anna"],
        ["--timeout=-3", "wallet", "show", "anna"],
        ["--timeout=inf", "wallet", "show", "anna"],
        ["redeem", "create", "ben", "2000", "EUR", "ben@x.example", "--expect=EUR 9"],
        ["nothing"],
    ],
)
async def test_wrong_use_ends_with_2_and_sends_nothing(
    scripted: ScriptedServer, run: Run, line: list[str]
) -> None:
    result = await run(*line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
    assert not scripted.asked


async def test_a_watched_statement_begins_with_the_last_entries(
    scripted: ScriptedServer, run: Run
) -> None:
    scripted.script("GetWallet", GetWalletResponse(wallet=ANNA))
    wrong = refusal_status(StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", right="read")
    answer = giftpay.v1.WatchEntriesResponse(entries=[ROSE])
    scripted.script("WatchEntries", parts(answer), wrong)
    result = await run("statement", "anna", "--watch", "--limit=1")
    assert [asked.after_seq for asked in scripted.asked["WatchEntries"]] == [2, 3]
    assert [cells_of(line)[0] for line in result.stdout.splitlines()] == ["seq", "3"]
    assert result.exit_code == 1


async def test_a_malformed_catalog_file_is_wrong_use(
    scripted: ScriptedServer, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text("[[gifts]]\ncoins = 'three'\n")
    result = await run("catalog", "apply", str(file))
    assert result.exit_code == 2
    assert f'{file}: gifts[0].coins: must be a whole number, not "three"' in result.stderr
    assert not scripted.asked
