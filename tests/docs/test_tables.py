"""The tables of the documents are complete and agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

from giftpay_server.admin import checks
from giftpay_server.config import OTHER_VARIABLES, Config, from_environment
from giftpay_server.journal.check import AuditCheck
from giftpay_server.settings import settings_of
from giftpay_server.slices import REGISTRY

from tests.docs.markdown import ROOT, table

CHECKS = checks.all_checks(REGISTRY)
EXAMPLES = {"GIFTPAY_SERVICE_HOST", "GIFTPAY_PORT", "GIFTPAY_LISTN"}


def test_every_variable_is_documented_or_no_variable() -> None:
    sources = [
        *ROOT.glob("client/src/giftpay/**/*.py"),
        *ROOT.glob("server/src/**/*.py"),
        ROOT / "tests/conftest.py",
    ]
    known = {*OTHER_VARIABLES, *(each.variable for each in settings_of(Config))}
    assert _variables(ROOT / "docs/configuration.md") - EXAMPLES == known
    assert _variables(*sources) - EXAMPLES <= known


def _variables(*paths: Path) -> set[str]:
    return {
        name for path in paths for name in re.findall(r"GIFTPAY_[A-Z_]+[A-Z]", path.read_text())
    }


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
