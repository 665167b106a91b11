"""A payout desk: a server that pays nothing out by itself, a provider, and workers to set going."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import giftpay
import pytest
from giftpay.client import Client, connect
from giftpay.v1 import (
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    ApplyCatalogRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    CreateRedemptionRequest,
    ErasePersonalDataRequest,
    GetRedemptionRequest,
    GetWalletRequest,
    Money,
    OpenWalletRequest,
    PayoutRate,
    Rational,
    Redemption,
    RedemptionState,
    UpdateWalletRequest,
    WalletStatus,
)
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.journal.worker import Pace, Runner
from giftpay_server.redemption.providers import PayoutProvider, SandboxPayouts
from giftpay_server.redemption.store import Due
from giftpay_server.redemption.worker import PayoutWorker
from giftpay_server.sandbox.app import running_sandbox

from tests.conftest import MovableClock, verify

QUICK = Pace(poll_s=0.02)
HALF = Rational(numerator=1, denominator=2)
CATALOG = Catalog(
    packages=[
        CoinPackage(package_id="eur-65", price=Money(currency_code="EUR", minor_units=99), coins=65)
    ],
    gifts=[CatalogGift(gift_id="rose", name="Rose", coins=1)],
    diamonds_per_coin=Rational(numerator=1, denominator=1),
    payout_rates=[
        PayoutRate(
            currency_code="EUR",
            minor_units_per_diamond=HALF,
            fee_minor_units=25,
            minimum_diamonds=1_000,
        ),
        PayoutRate(
            currency_code="XTS",  # worth so much that a payout may pass the limit of a movement
            minor_units_per_diamond=Rational(numerator=10**9, denominator=1),
            minimum_diamonds=1,
        ),
    ],
    default_currency_code="EUR",
)

DIAMONDS = 3_000
AMOUNT = 1_475  # EUR minor units: what is paid for them, at a half each, less the fee


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything around the payouts of one server."""

    client: Client
    server: Running
    clock: MovableClock
    http: aiohttp.ClientSession
    sandbox: str

    def worker(
        self,
        url: str = "",
        *,
        timeout_s: float = 5.0,
        dedupe_window: timedelta = timedelta(days=30),
    ) -> Runner[Due]:
        """One more worker, by a provider at this address."""
        provider = SandboxPayouts(
            self.http, url or self.sandbox, timeout_s=timeout_s, dedupe_window=dedupe_window
        )
        return self.runner(provider)

    def runner(self, provider: PayoutProvider, pace: Pace = QUICK) -> Runner[Due]:
        """One more worker, by this provider."""
        parts = self.server.parts
        worker = PayoutWorker(parts.journal, parts.pool, provider, clock=self.clock)
        return Runner(worker, clock=self.clock, pace=pace)

    async def work(self, **later: float) -> None:
        """A round of a new worker, after so much time."""
        self.clock.advance(**later)
        assert (await self.worker().round()).failed == 0

    async def open_creator(self, *, diamonds: int = DIAMONDS, **age: Any) -> str:
        """Opens a wallet that nobody else uses; its owner is an adult unless said otherwise."""
        owner_id = f"creator-{uuid.uuid4().hex[:10]}"
        request = OpenWalletRequest(
            owner_id=owner_id, country_code="DE", **(age or {"age_verified": True})
        )
        await self.client.wallets.OpenWallet(request)
        if not diamonds:
            return owner_id
        adjustment = AdjustBalanceRequest(
            owner_id=owner_id, unit=UNIT_DIAMOND, amount=diamonds, reason="earned"
        )
        await self.client.admin.AdjustBalance(adjustment)
        return owner_id

    async def redeem(self, destination: str = "", **fields: Any) -> Redemption:
        """Redeems all diamonds of a new creator, unless said otherwise."""
        owner_id = fields.pop("owner_id", "") or await self.open_creator()
        request = redemption(owner_id, destination=destination or new_destination(), **fields)
        return (await self.client.redemptions.CreateRedemption(request)).redemption

    async def read(self, made: Redemption) -> Redemption:
        """The redemption's current state."""
        request = GetRedemptionRequest(redemption_id=made.redemption_id)
        return (await self.client.redemptions.GetRedemption(request)).redemption

    async def state(self, made: Redemption) -> str:
        """Such as PAID."""
        state = (await self.read(made)).state
        return RedemptionState.Name(state).removeprefix("REDEMPTION_STATE_")

    async def diamonds(self, owner_id: str) -> tuple[int, int]:
        """The balance, and what of it is held."""
        answer = await self.client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
        return answer.wallet.diamonds.balance, answer.wallet.diamonds.held

    async def script(self, destination: str, *steps: dict[str, Any], call: str = "submit") -> None:
        """Scripts the provider's behaviour for the next calls about this destination."""
        script = {
            "kind": "payout",
            "call": call,
            "match": {"destination": destination},
            "steps": list(steps),
        }
        async with self.http.post(f"{self.sandbox}/scripts", json=script) as response:
            assert response.status == 201

    async def payouts(self, made: Redemption) -> list[tuple[str, int, int]]:
        """What the provider made of the redemption: each payout's state, amount and submits."""
        async with self.http.get(f"{self.sandbox}/payouts") as response:
            listed = (await response.json())["payouts"]
        return [
            (payout["state"], payout["minor_units"], payout["submits"])
            for payout in listed
            if payout["key"] == made.redemption_id
        ]

    async def submits(self, made: Redemption, *, times: int) -> None:
        """Waits until the provider has been asked for the payout so many times."""
        await until(lambda: self._was_submitted(made, times))

    async def reaches(self, made: Redemption, state: str) -> None:
        """Waits until the redemption has this state."""
        await until(lambda: self._has_state(made, state))

    async def _was_submitted(self, made: Redemption, times: int) -> bool:
        return [submits for _, _, submits in await self.payouts(made)] == [times]

    async def _has_state(self, made: Redemption, state: str) -> bool:
        return await self.state(made) == state

    async def give_back(self, made: Redemption) -> None:
        """The payee sends the money back."""
        url = f"{self.sandbox}/payouts/{made.redemption_id}/return"
        async with self.http.post(url) as response:
            assert response.status == 200

    async def set_status(self, owner_id: str, status: WalletStatus.ValueType) -> None:
        """Freezes, unfreezes or closes a wallet."""
        request = UpdateWalletRequest(owner_id=owner_id, status=status)
        await self.client.wallets.UpdateWallet(request)

    async def erase(self, owner_id: str) -> None:
        """Erases the owner's personal data."""
        request = ErasePersonalDataRequest(owner_id=owner_id)
        await self.client.admin.ErasePersonalData(request)

    async def money(self, made: Redemption) -> list[int]:
        """The money that moved for the redemption by our books, in minor units."""
        rows = await self.server.parts.pool.fetch(
            "SELECT minor_units FROM money_movement WHERE subject_id = $1 ORDER BY create_time",
            made.redemption_id,
        )
        return [row["minor_units"] for row in rows]


@asynccontextmanager
async def new_desk(dsn: str) -> AsyncIterator[Desk]:
    """A desk with books of its own, which balance at the end."""
    clock = MovableClock()
    async with (
        running_sandbox(clock=clock) as sandbox,
        aiohttp.ClientSession() as http,
        serving(Config(database_url=dsn, listen="127.0.0.1:0"), clock=clock) as server,
        connect(server.address) as client,
    ):
        await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=CATALOG))
        yield Desk(client, server, clock, http, sandbox)
        await verify(client)


@asynccontextmanager
async def running(*workers: Runner[Due]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """They go round by themselves meanwhile."""
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield tasks
        assert not any(task.done() and not task.cancelled() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits until it holds, at most ten seconds."""
    async with asyncio.timeout(10):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def new_destination() -> str:
    """A payee that no other test pays."""
    return f"{uuid.uuid4().hex[:10]}@example.org"


def redemption(owner_id: str, **fields: Any) -> CreateRedemptionRequest:
    """A request to redeem, good but for the fields given."""
    wanted = {
        "idempotency_key": giftpay.new_key(),
        "diamonds": DIAMONDS,
        "currency_code": "EUR",
        "destination": "mia@example.org",
        **fields,
    }
    return CreateRedemptionRequest(owner_id=owner_id, **wanted)


@pytest.fixture(scope="session")
async def desk(new_database: Any) -> AsyncIterator[Desk]:
    """The desk of these tests, with books and a clock of its own."""
    clock = MovableClock()
    config = Config(database_url=await new_database(), listen="127.0.0.1:0")
    async with (
        serving(config, clock=clock) as server,
        connect(server.address) as client,
        aiohttp.ClientSession() as http,
        running_sandbox(clock=clock) as sandbox,
    ):
        await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=CATALOG))
        yield Desk(client, server, clock, http, sandbox)


@pytest.fixture(autouse=True)
async def desk_books_are_clean(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After every test at the desk: its books balance, row by row."""
    yield
    if "desk" in request.fixturenames:
        desk: Desk = request.getfixturevalue("desk")
        await verify(desk.client)
