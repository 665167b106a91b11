"""A shop: orders for coins, and a buyer who pays at the sandbox."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from giftpay import new_key
from giftpay.client import Client
from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    CancelTopUpRequest,
    ConfirmTopUpRequest,
    ConfirmTopUpResponse,
    CreateTopUpRequest,
    GetTopUpRequest,
    GetWalletRequest,
    ListCoinPackagesRequest,
    TopUp,
)


@dataclass
class Shop:
    """Both sides of a purchase."""

    client: Client
    http: aiohttp.ClientSession
    sandbox: str
    package_id: str  # sold in DE
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def order(self, owner_id: str, **fields: Any) -> TopUp:
        request = CreateTopUpRequest(
            owner_id=owner_id, package_id=self.package_id, provider=PAYMENT_PROVIDER_SANDBOX
        )
        request.MergeFrom(CreateTopUpRequest(**fields))
        return (await self.client.top_ups.CreateTopUp(request)).top_up

    def new_reference(self) -> str:
        return f"pay-{uuid.uuid4().hex}"

    async def pay(self, order: TopUp, reference: str = "", **other: Any) -> str:
        """Pays what the order costs, unless `other` says otherwise."""
        payment = {
            "reference": reference or self.new_reference(),
            "currency": order.price.currency_code,
            "minor_units": order.price.minor_units,
        }
        answer = await self._post("/payments", payment | other)
        return str(answer["reference"])

    async def refund(self, reference: str) -> None:
        await self._post(f"/payments/{reference}/refund", None)

    async def script(self, reference: str, *steps: dict[str, Any], call: str = "find") -> None:
        match = {"reference": reference}
        script = {"kind": "payment", "call": call, "match": match, "steps": list(steps)}
        await self._post("/scripts", script)

    async def confirm(self, order: TopUp, reference: str, key: str = "") -> ConfirmTopUpResponse:
        return await self.client.top_ups.ConfirmTopUp(
            ConfirmTopUpRequest(
                idempotency_key=key or new_key(),
                top_up_id=order.top_up_id,
                payment_reference=reference,
            )
        )

    async def cancel(self, order: TopUp) -> TopUp:
        request = CancelTopUpRequest(top_up_id=order.top_up_id)
        return (await self.client.top_ups.CancelTopUp(request)).top_up

    async def bought(self, owner_id: str) -> tuple[TopUp, str]:
        """A paid order, and the reference of its payment."""
        order = await self.order(owner_id)
        reference = await self.pay(order)
        return (await self.confirm(order, reference)).top_up, reference

    async def current(self, order: TopUp) -> TopUp:
        request = GetTopUpRequest(top_up_id=order.top_up_id)
        return (await self.client.top_ups.GetTopUp(request)).top_up

    async def coins(self, owner_id: str) -> int:
        answer = await self.client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
        return answer.wallet.coins.balance

    async def _post(self, path: str, body: Any) -> Any:
        async with asyncio.timeout(10), self.http.post(self.sandbox + path, json=body) as answer:
            assert answer.status in (200, 201), await answer.text()
            return await answer.json()


@pytest.fixture(scope="session")
async def shop(client: Client, sandbox: str) -> AsyncIterator[Shop]:
    listed = await client.catalog.ListCoinPackages(ListCoinPackagesRequest(country_code="DE"))
    async with aiohttp.ClientSession() as http:
        yield Shop(client, http, sandbox, listed.packages[0].package_id)
