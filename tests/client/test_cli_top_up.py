"""Buying coins on the command line: the order, and the commands that pay for it."""

import sys
from typing import Any

import pytest
from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    PAYMENT_PROVIDER_TRUSTED,
    TOP_UP_STATE_CANCELLED,
    TOP_UP_STATE_PAID,
    TOP_UP_STATE_PENDING,
    CreateTopUpRequest,
    CreateTopUpResponse,
    GetTopUpResponse,
    Money,
    TopUp,
    TopUpState,
)

from tests.client.command_line import Run
from tests.client.scripted import ScriptedServer

ORDER = TopUp(
    top_up_id="t-1",
    price=Money(currency_code="EUR", minor_units=99),
    coins=65,
    provider=PAYMENT_PROVIDER_SANDBOX,
    state=TOP_UP_STATE_PENDING,
)


def order(**fields: Any) -> TopUp:
    changed = TopUp(**fields)
    made = TopUp()
    made.CopyFrom(ORDER)
    made.MergeFrom(changed)
    return made


async def test_ordering_and_paying_coins(
    scripted: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIFTPAY_SANDBOX_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["bin/giftpay"])
    scripted.script("CreateTopUp", CreateTopUpResponse(top_up=ORDER))
    scripted.script("GetTopUp", GetTopUpResponse(top_up=ORDER))
    created = await run("top-up", "create", "anna", "eur-65", "--provider=trusted", "--key=k")
    paid = await run("top-up", "pay", "t-1")
    elsewhere = await run("top-up", "pay", "t-1", "--sandbox=http://127.0.0.1:9")
    assert scripted.asked["CreateTopUp"] == [
        CreateTopUpRequest(
            idempotency_key="k",
            owner_id="anna",
            package_id="eur-65",
            provider=PAYMENT_PROVIDER_TRUSTED,
        )
    ]
    assert "price     EUR 0.99" in created.stdout
    assert paid.stdout == (
        """curl -d '{"reference": "t-1", "currency": "EUR", "minor_units": 99}' """
        "http://127.0.0.1:50052/payments\n"
        "bin/giftpay top-up confirm t-1 t-1\n"
    )
    assert elsewhere.stdout == paid.stdout.replace("50052", "9")


async def test_a_trusted_order_needs_only_a_confirmation(
    scripted: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["giftpay"])
    trusted = order(provider=PAYMENT_PROVIDER_TRUSTED)
    scripted.script("GetTopUp", GetTopUpResponse(top_up=trusted))
    result = await run("top-up", "pay", "t-1")
    assert result.stdout == "giftpay top-up confirm t-1 t-1\n"


@pytest.mark.parametrize(
    ("state", "name"), [(TOP_UP_STATE_PAID, "paid"), (TOP_UP_STATE_CANCELLED, "cancelled")]
)
async def test_an_order_that_is_not_pending_cannot_be_paid(
    scripted: ScriptedServer, run: Run, state: TopUpState.ValueType, name: str
) -> None:
    scripted.script("GetTopUp", GetTopUpResponse(top_up=order(state=state)))
    result = await run("top-up", "pay", "t-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"refused: the order t-1 is {name}\n"
