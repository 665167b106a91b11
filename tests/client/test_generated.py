"""`make check` reports stale generated files, and manual changes to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

WANTED = "protos", "scripts", "client/src", "server/src", "docs", "pyproject.toml"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the generated files and of their sources."""
    for name in WANTED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def complaint(checkout: Path) -> str:
    """The error that `make check` prints for the protos; empty if there is none."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "scripts/check-protos"],
        cwd=checkout,
        env={**os.environ, "PATH": tools, "GIT_DIR": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("client/src/giftpay/refusals.py", "available: int", "available: str"),
        ("client/src/giftpay/v1/__init__.py", "    Wallet,\n", ""),
        ("server/src/giftpay_server/stored/v1/payout_pb2.py", "PayoutStep", "PayoutStop"),
        ("docs/wire.md", "| FAILED_PRECONDITION |", "| ABORTED |"),
    ],
)
def test_a_manual_change_is_named(checkout: Path, file: str, old: str, new: str) -> None:
    change(checkout / file, old, new)
    assert complaint(checkout) == f"{file} is stale: make proto\n"


def test_a_changed_proto_makes_files_stale(checkout: Path) -> None:
    change(checkout / "protos/giftpay/v1/error_reason.proto", '"available": 40', '"available": "x"')
    assert complaint(checkout).endswith(" is stale: make proto\n")


def test_a_file_without_a_proto_is_named(checkout: Path) -> None:
    left = "client/src/giftpay/v1/purse_pb2.py"
    (checkout / left).touch()
    assert complaint(checkout) == f"{left} is stale: make proto\n"


def test_fresh_files_are_accepted(checkout: Path) -> None:
    assert complaint(checkout) == ""


def test_a_reason_with_an_incomplete_option_is_named(checkout: Path) -> None:
    change(checkout / "protos/giftpay/v1/error_reason.proto", '"available": 40', '"has": 40')
    assert complaint(checkout).startswith("ERROR_REASON_INSUFFICIENT_COINS: its option needs")


def test_a_changed_movement_is_named(checkout: Path) -> None:
    change(checkout / "docs/ledger.md", "| GIFT | ", "| TIP | ")
    assert complaint(checkout) == "docs/ledger.md is stale: make proto\n"


def test_a_changed_default_of_a_setting_is_named(checkout: Path) -> None:
    change(checkout / "docs/configuration.md", "| `10` |", "| `11` |")
    assert complaint(checkout) == "docs/configuration.md is stale: make proto\n"
