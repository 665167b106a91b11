"""The tables of the documents are complete, and say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from giftpay_server.admin import checks
from giftpay_server.config import ConfigError, from_environment
from giftpay_server.journal.check import AuditCheck
from giftpay_server.slices import REGISTRY

from tests.docs.markdown import ROOT, Row, table

CHECKS = checks.all_checks(REGISTRY)
SETTINGS = {row[0]: row for row in table("docs/configuration.md", "The server")}
STATE = "GIFTPAY_STATE"  # its default depends on who runs the server

SECONDS = "seconds, above 0, below 86400"


class Asked(dict[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(name)
        return default


def test_every_setting_that_the_server_reads_is_documented() -> None:
    environment = Asked()
    from_environment(environment)
    assert environment.names | {STATE} == set(SETTINGS)


def test_every_variable_in_the_code_is_documented() -> None:
    sources = [
        *ROOT.glob("client/src/giftpay/**/*.py"),
        *ROOT.glob("server/src/**/*.py"),
        ROOT / "tests/conftest.py",
    ]
    assert _variables(*sources) == _variables(ROOT / "docs/configuration.md")


def _variables(*paths: Path) -> set[str]:
    return {
        name for path in paths for name in re.findall(r"GIFTPAY_[A-Z_]+[A-Z]", path.read_text())
    }


@pytest.mark.parametrize(
    "row", [row for name, row in SETTINGS.items() if name != STATE], ids=" ".join
)
def test_the_documented_default_is_the_default(row: Row) -> None:
    name, default, *_ = row
    value = "" if default == "empty" else default
    assert from_environment({name: value}) == from_environment({})


def bounds() -> list[tuple[str, str, bool]]:
    """Values at the edges of the documented ranges, and whether they are within."""
    edges = []
    for name, _, limits, _ in SETTINGS.values():
        if least := re.search(r", from ([0-9]+)$", limits):
            edges += [(name, least[1], True), (name, str(int(least[1]) - 1), False)]
        elif within := re.search(r"^seconds, from ([0-9.]+) to ([0-9]+)$", limits):
            edges += [(name, within[1], True), (name, str(float(within[1]) - 0.01), False)]
            edges += [(name, within[2], True), (name, str(float(within[2]) + 0.01), False)]
        elif limits == SECONDS:
            edges += [(name, "0.001", True), (name, "86399", True)]
            edges += [(name, "0", False), (name, "86400", False)]
    return edges


@pytest.mark.parametrize(("name", "value", "within"), bounds())
def test_the_documented_range_is_the_range(name: str, value: str, *, within: bool) -> None:
    if within:
        from_environment({name: value})
        return
    with pytest.raises(ConfigError, match=name):
        from_environment({name: value})


def test_every_check_of_the_audit_is_documented() -> None:
    documented = [cells[0] for cells in table("docs/ledger.md", "What VerifyLedger checks")]
    names = [name for cell in documented for name in NAME.findall(cell)]
    assert sorted(names) == sorted(_names(*CHECKS, checks.TOTAL, *checks.AHEAD_CHECKS))


def test_the_checks_that_only_a_whole_audit_makes_are_marked() -> None:
    documented = [cells[0] for cells in table("docs/ledger.md", "What VerifyLedger checks")]
    whole = {name for cell in documented if "*whole*" in cell for name in NAME.findall(cell)}
    assert whole == _names(*(check for check in CHECKS if check.whole))


NAME = re.compile(r"[a-z_]+\.[a-z_]+")


def _names(*made: AuditCheck) -> set[str]:
    return {name for check in made for name in check.names}


def test_the_files_of_deploy_wait_for_the_embedded_postgres() -> None:
    grace_s = from_environment({}).grace_s
    unit = (ROOT / "deploy/giftpay.service").read_text()
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    (docker_s,) = re.findall(r"--stop-timeout (\d+) -v", (ROOT / "deploy/Dockerfile").read_text())
    assert int(stop_s) == int(docker_s) > grace_s + 40  # see postgres/postmaster.py


def test_each_distribution_has_the_license() -> None:
    licenses = {(ROOT / folder / "LICENSE").read_text() for folder in (".", "client", "server")}
    assert len(licenses) == 1


def test_the_lines_to_watch_for_are_those_that_are_logged() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("server/src/**/*.py"))
    for line, _ in table("docs/operations.md", "Watch it"):
        assert f'"{re.sub("<[a-z]+>", "%s", line)}' in sources, line
