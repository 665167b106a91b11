"""An evening in which everything happens once, in an order and under keys that never change."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import giftpay
from giftpay.client import Client
from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    SHORTFALL_POLICY_DEBT,
    SHORTFALL_POLICY_PLATFORM_LOSS,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    ApplyCatalogRequest,
    CancelRedemptionRequest,
    CancelTopUpRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    ConfirmTopUpRequest,
    CreateRedemptionRequest,
    CreateTopUpRequest,
    ErasePersonalDataRequest,
    Money,
    OpenWalletRequest,
    PayoutRate,
    Promotion,
    Rational,
    ReverseGiftRequest,
    SendGiftRequest,
    ShortfallPolicy,
    Unit,
)
from giftpay_server.app import Running
from giftpay_server.journal.worker import Runner
from giftpay_server.redemption.providers import SandboxPayouts
from giftpay_server.redemption.worker import PayoutWorker

from tests.conftest import MovableClock
from tests.ledger.movements import withdraw

# The commands, by the keys that they are sent under.
CATALOG_1, CATALOG_2 = (
    "c0000000-0000-4000-8000-000000000001",
    "c0000000-0000-4000-8000-000000000002",
)
PAID_ORDER, OPEN_ORDER, CANCELLED_ORDER, PAYMENT = (
    f"a0000000-0000-4000-8000-00000000000{n}" for n in range(1, 5)
)
GIFT, REFUSED_GIFT, LOST_GIFT, OWED_GIFT = (
    f"b0000000-0000-4000-8000-00000000000{n}" for n in range(1, 5)
)
LOST_REVERSAL, OWED_REVERSAL = (f"d0000000-0000-4000-8000-00000000000{n}" for n in range(1, 3))
WITHDRAWAL, LAST_WITHDRAWAL = (f"a1000000-0000-4000-8000-00000000000{n}" for n in range(1, 3))
PAID_OUT, CAME_BACK, DECLINED, CANCELLED, HELD = (
    f"e0000000-0000-4000-8000-00000000000{n}" for n in range(1, 6)
)


@dataclass(frozen=True, slots=True)
class Evening:
    """Anna buys and gives, Ben is paid out, Cleo loses gifts, and Dora coins from the middle."""

    client: Client
    server: Running
    clock: MovableClock
    sandbox: str
    http: aiohttp.ClientSession

    async def play(self) -> None:
        """Plays it; afterwards nothing more is paid out."""
        for owner_id in ("anna", "ben", "cleo", "dora"):
            opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
            await self.client.wallets.OpenWallet(opening)
        await self._sell(CATALOG_1, rose=10)
        await self._buy()
        await self._withdraw()
        await self._send(GIFT, to="ben", context="live/1")
        await self._sell(CATALOG_2, rose=20)
        with suppress(giftpay.Refused):
            await self._send(REFUSED_GIFT, to="ben", count=1_000)
        await self._reverse(LOST_GIFT, LOST_REVERSAL, SHORTFALL_POLICY_PLATFORM_LOSS)
        await self._reverse(OWED_GIFT, OWED_REVERSAL, SHORTFALL_POLICY_DEBT)
        await self._adjust("anna", UNIT_COIN, 7)
        await self._adjust("ben", UNIT_DIAMOND, 1_000)
        await self._redeem()
        await self.client.admin.ErasePersonalData(ErasePersonalDataRequest(owner_id="cleo"))

    async def _sell(self, key: str, *, rose: int) -> None:
        request = ApplyCatalogRequest(idempotency_key=key, catalog=_catalog(rose=rose))
        await self.client.catalog.ApplyCatalog(request)

    async def _buy(self) -> None:
        for key in (PAID_ORDER, OPEN_ORDER, CANCELLED_ORDER):
            order = CreateTopUpRequest(
                idempotency_key=key,
                owner_id="anna",
                package_id="eur-700",
                provider=PAYMENT_PROVIDER_TRUSTED,
            )
            await self.client.top_ups.CreateTopUp(order)
        await self.client.top_ups.ConfirmTopUp(
            ConfirmTopUpRequest(
                idempotency_key=PAYMENT, top_up_id=PAID_ORDER, payment_reference="pi_1"
            )
        )
        await self.client.top_ups.CancelTopUp(CancelTopUpRequest(top_up_id=CANCELLED_ORDER))

    async def _withdraw(self) -> None:
        """Dora's coins 0 to 14: 3 to 7, 10, 11 are withdrawn; 0 to 2, 8, 9 are spent."""
        for amount, key, skip in ((10, WITHDRAWAL, 3), (5, LAST_WITHDRAWAL, 1)):
            await self._adjust("dora", UNIT_COIN, amount)
            command = withdraw(key, "dora", skip=skip, amount=amount // 2)
            await self.server.parts.journal.record(command)
            await self._adjust("dora", UNIT_COIN, 1 - amount // 2)

    async def _send(self, key: str, *, to: str, **fields: Any) -> None:
        request = SendGiftRequest(
            idempotency_key=key, sender_id="anna", recipient_id=to, gift_id="rose", **fields
        )
        await self.client.gifts.SendGift(request)

    async def _adjust(self, owner_id: str, unit: Unit.ValueType, amount: int) -> None:
        request = AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason="test")
        await self.client.admin.AdjustBalance(request)

    async def _reverse(self, gift: str, key: str, policy: ShortfallPolicy.ValueType) -> None:
        await self._send(gift, to="cleo", count=2)
        await self._adjust("cleo", UNIT_DIAMOND, -40)
        request = ReverseGiftRequest(
            idempotency_key=key, transaction_id=gift, reason="test", shortfall_policy=policy
        )
        await self.client.admin.ReverseGift(request)

    async def _redeem(self) -> None:
        for key in (PAID_OUT, CAME_BACK, DECLINED, CANCELLED, HELD):
            request = CreateRedemptionRequest(
                idempotency_key=key,
                owner_id="ben",
                diamonds=100,
                currency_code="EUR",
                destination=f"{'decline' if key == DECLINED else 'ben'}@sandbox.example",
            )
            await self.client.redemptions.CreateRedemption(request)
            await self._pay_out(key)

    async def _pay_out(self, key: str) -> None:
        if key == CANCELLED:
            request = CancelRedemptionRequest(redemption_id=key)
            await self.client.redemptions.CancelRedemption(request)
        elif key != HELD:
            await self._work()
        if key == CAME_BACK:
            await self.http.post(f"{self.sandbox}/payouts/{key}/return")
            self.clock.advance(hours=2)
            await self._work()

    async def _work(self) -> None:
        parts, provider = self.server.parts, SandboxPayouts(self.http, self.sandbox)
        worker = PayoutWorker(parts.journal, parts.pool, provider, clock=self.clock)
        assert (await Runner(worker, clock=self.clock).round()).failed == 0


def _catalog(*, rose: int) -> Catalog:
    now = datetime.now(UTC)
    half, tenth = (Rational(numerator=1, denominator=n) for n in (2, 10))
    price = Money(currency_code="EUR", minor_units=1_000)
    return Catalog(
        packages=[CoinPackage(package_id="eur-700", price=price, coins=700)],
        gifts=[CatalogGift(gift_id="rose", name="Rose", coins=rose)],
        promotions=[
            Promotion(
                promotion_id="winter",
                bonus_per_coin=tenth,
                start_time=now - timedelta(days=1),  # type: ignore[arg-type]
                end_time=now + timedelta(days=1),  # type: ignore[arg-type]
            )
        ],
        diamonds_per_coin=Rational(numerator=1, denominator=1),
        payout_rates=[
            PayoutRate(
                currency_code="EUR",
                minor_units_per_diamond=half,
                fee_minor_units=25,
                minimum_diamonds=100,
            )
        ],
        default_currency_code="EUR",
    )
