"""A statement on the command line, fitted to the terminal's width."""

import pytest
from giftpay.v1 import (
    SYSTEM_ACCOUNT_ADJUSTMENT,
    SYSTEM_ACCOUNT_ISSUANCE,
    SYSTEM_ACCOUNT_PLATFORM_LOSS,
    TRANSACTION_KIND_ADJUSTMENT,
    TRANSACTION_KIND_CONFIRM_TOP_UP,
    UNIT_COIN,
    Entry,
    ListEntriesRequest,
    ListEntriesResponse,
    SystemAccount,
)

from tests.client.command_line import ROSE, Run, cells_of
from tests.client.scripted import ScriptedServer


async def test_a_statement_fits_80_columns(scripted: ScriptedServer, run: Run) -> None:
    bought = Entry(
        seq=1,
        amount=10**12,
        balance=10**12,
        create_time=ROSE.create_time,
        system_account=SYSTEM_ACCOUNT_ISSUANCE,
        kind=TRANSACTION_KIND_CONFIRM_TOP_UP,
    )
    scripted.script("ListEntries", ListEntriesResponse(entries=[ROSE, bought]))
    result = await run("statement", "anna", "--limit=5", "--after-seq=0")
    assert scripted.asked["ListEntries"] == [
        ListEntriesRequest(owner_id="anna", unit=UNIT_COIN, page_size=5, after_seq=0)
    ]
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert cells_of(lines[1]) == [
        "3",
        "2026-11-18",
        "11:06:40",
        "-3",
        "1,234,567",
        "rose",
        "x3,",
        "ben",
    ]


async def test_a_statement_is_readable_from_60_columns(
    scripted: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    scripted.script("ListEntries", ListEntriesResponse(entries=[ROSE]))
    result = await run("statement", "anna")
    head, first, *rest = result.stdout.splitlines()
    assert max(map(len, (head, first, *rest))) <= 60
    assert cells_of(head) == ["seq", "time", "(UTC)", "amount", "balance", "what"]
    assert cells_of(first) == ["3", "2026-11-18", "-3", "1,234,567", "rose", "x3,", "ben"]
    assert [cells_of(line) for line in rest] == [["11:06:40"]]


@pytest.mark.parametrize(
    ("system_account", "what"),
    [
        (SYSTEM_ACCOUNT_ADJUSTMENT, "adjustment"),
        (SYSTEM_ACCOUNT_PLATFORM_LOSS, "adjustment (platform loss)"),
    ],
)
async def test_a_statement_does_not_repeat_the_kind_as_account(
    scripted: ScriptedServer, run: Run, system_account: SystemAccount.ValueType, what: str
) -> None:
    entry = Entry(seq=1, kind=TRANSACTION_KIND_ADJUSTMENT, system_account=system_account)
    scripted.script("ListEntries", ListEntriesResponse(entries=[entry]))
    result = await run("statement", "anna")
    line = " ".join(cells_of(" ".join(result.stdout.splitlines()[1:])))
    assert line == f"1 +0 0 {what}"
