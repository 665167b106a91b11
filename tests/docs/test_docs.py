"""The examples in the documents work unchanged."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner
from giftpay.cli.commands import giftpay

from tests.docs.markdown import DOCUMENTS, ROOT, anchors, blocks, command_lines, links

RUN_MAX_S = 60


async def printed(*arguments: str, address: str = "", folder: Path = ROOT) -> str:
    """The output of a Python process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,
        env={**os.environ, "GIFTPAY_TARGET": address, "COLUMNS": "80"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(RUN_MAX_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_script_of_the_readme_moves_balances_once(address: str) -> None:
    (script,) = blocks("README.md", "python")
    assert (await printed("-c", script, address=address)).splitlines() == [
        "5 diamonds for Ben",
        "True",
        "anna 60 coins 0 diamonds",
        "ben 0 coins 5 diamonds",
    ]


async def test_the_trial_balance_of_the_ledger_is_that_of_the_readme(address: str) -> None:
    await printed("-c", *blocks("README.md", "python"), address=address)
    command = "from giftpay.cli import main; main()"
    assert await printed("-c", command, "trial-balance", address=address) in blocks(
        "docs/ledger.md", ""
    )


async def test_the_scripts_for_operators_run_again_and_again(address: str, tmp_path: Path) -> None:
    await printed("-c", *blocks("README.md", "python"), address=address)
    verify, erase = blocks("docs/operations.md", "python")
    for _ in range(2):
        await printed("-c", verify, address=address, folder=tmp_path)
        assert await printed("-c", erase, address=address, folder=tmp_path) == "False\n"
    assert (tmp_path / "giftpay-watermark").read_text().endswith("Z")


async def test_the_scripts_of_the_client_run(address: str) -> None:
    (readme,) = blocks("README.md", "python")
    for script in (readme, readme, *blocks("client/README.md", "python")):
        await printed("-c", script, address=address)


async def test_the_commands_of_the_client_lead_from_nothing_to_coins(
    address: str, sandbox: str
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    _, newcomer, _ = blocks("client/README.md", "sh")
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-euc", newcomer),
        env={
            **os.environ,
            "PATH": path,
            "GIFTPAY_TARGET": address,
            "GIFTPAY_SANDBOX_URL": sandbox,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(RUN_MAX_S):
        out, err = await shell.communicate()
    assert shell.returncode == 0, err.decode()
    assert "coins          62     0         62        2" in out.decode().splitlines()


async def test_the_sql_for_operators_runs(new_database: Callable[[], Awaitable[str]]) -> None:
    connection = await asyncpg.connect(await new_database())
    try:
        for sql in blocks("docs/operations.md", "sql"):
            trial = connection.transaction()
            await trial.start()
            # Roles belong to the cluster, and the tests' own server made this one.
            await connection.execute("ALTER ROLE giftpay_server RENAME TO giftpay_server_before")
            await connection.execute(sql)
            await trial.rollback()
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "arguments", [("giftpay_server",), ("giftpay_server.sandbox",)], ids=lambda names: names[0]
)
async def test_the_options_are_those_of_the_programs_help(arguments: tuple[str]) -> None:
    help_text, _, _ = (await printed("-m", *arguments, "--help")).partition("\nsettings,")
    assert any(
        help_text.split() == block.split()[-len(help_text.split()) :] for block in _shown_help()
    )


def _shown_help() -> list[str]:
    return [block for block in blocks("docs/configuration.md", "") if "--help" in block]


each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each_document
def test_the_command_lines_are_understood(document: Path) -> None:
    for line in command_lines(document):
        words = shlex.split(" ".join(line.split()).partition(" > ")[0])
        result = CliRunner().invoke(giftpay, [*words[1:], "--help"])
        assert result.exit_code == 0, f"{line}: {result.output}"


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
