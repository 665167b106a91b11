"""Books in which everything has happened once, and in which any row can be corrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import giftpay
from giftpay.client import Client, connect
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
    Money,
    OpenWalletRequest,
    PayoutRate,
    Promotion,
    Rational,
    ReverseGiftRequest,
    SendGiftRequest,
    Unit,
)
from giftpay_server.app import serving
from giftpay_server.config import Config
from giftpay_server.postgres.pool import Pool
from giftpay_server.redemption.providers import SandboxPayouts
from giftpay_server.redemption.worker import PayoutWorker
from giftpay_server.sandbox.app import running_sandbox

from tests.conftest import MovableClock

TABLES = (
    "account",
    "catalog",
    "claim",
    "entry",
    "gift_context",
    "hold",
    "lot",
    "money_movement",
    "owner",
    "redemption",
    "top_up",
    "transactions",
)

# Some corruptions are what the tables themselves would refuse.
DROP_CHECKS = """
    DO $$
    DECLARE found record;
    BEGIN
        FOR found IN SELECT conrelid::regclass AS name, conname
                       FROM pg_constraint
                      WHERE contype = 'c' AND connamespace = 'public'::regnamespace
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.name, found.conname);
        END LOOP;
    END
    $$
"""


@dataclass(frozen=True, slots=True)
class Books:
    """The books over the wire, by the server's own connections, and by the schema's owner."""

    client: Client
    pool: Pool
    owner: asyncpg.Connection[asyncpg.Record]

    @asynccontextmanager
    async def corrupted(self, sql: str) -> AsyncIterator[None]:
        """The books after these statements, and as they were once it is over."""
        await self.owner.execute(sql)
        try:
            yield
        finally:
            for table in TABLES:
                restore = f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept.{table}"
                await self.owner.execute(restore)


@asynccontextmanager
async def corruptible_books(dsn: str) -> AsyncIterator[Books]:
    """Fills an empty database; its server pays nothing out any more."""
    clock = MovableClock()
    config = Config(
        database_url=dsn, listen="127.0.0.1:0", trusted_callers=frozenset({"local"}), pool_size=3
    )
    async with serving(config, clock=clock) as server, connect(server.address) as client:
        async with running_sandbox(clock=clock) as sandbox, aiohttp.ClientSession() as http:
            provider = SandboxPayouts(http, sandbox)
            rooms = server.rooms
            worker = PayoutWorker(rooms.journal, rooms.pool, provider, clock=clock, poll_s=1)
            await _Evening(client, worker, clock, f"{sandbox}/payouts", http).play()
        owner = await asyncpg.connect(dsn)
        await owner.execute(DROP_CHECKS)
        await owner.execute("CREATE SCHEMA kept")
        for table in TABLES:
            await owner.execute(f"CREATE TABLE kept.{table} AS TABLE {table}")
        yield Books(client, server.rooms.pool, owner)
        await owner.close()


def catalog(*, rose: int) -> Catalog:
    now = datetime.now(UTC)
    return Catalog(
        packages=[
            CoinPackage(
                package_id="eur-700",
                price=Money(currency_code="EUR", minor_units=1_000),
                coins=700,
            )
        ],
        gifts=[CatalogGift(gift_id="rose", name="Rose", coins=rose)],
        promotions=[
            Promotion(
                promotion_id="winter",
                bonus_per_coin=Rational(numerator=1, denominator=10),
                start_time=now - timedelta(days=1),  # type: ignore[arg-type]
                end_time=now + timedelta(days=1),  # type: ignore[arg-type]
            )
        ],
        diamonds_per_coin=Rational(numerator=1, denominator=1),
        payout_rates=[
            PayoutRate(
                currency_code="EUR",
                minor_units_per_diamond=Rational(numerator=1, denominator=2),
                fee_minor_units=25,
                minimum_diamonds=100,
            )
        ],
        default_currency_code="EUR",
    )


async def play(client: Client, desk: Desk) -> None:
    """Anna buys and gives, Ben is paid out, and Cleo loses two gifts that she no longer has."""
    for owner_id in ("anna", "ben", "cleo"):
        opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
        await client.wallets.OpenWallet(opening)
    await apply_catalog(client, CATALOG_1, rose=10)
    await buy(client)
    await send(client, GIFT, to="ben", context="live/1")
    await apply_catalog(client, CATALOG_2, rose=20)
    with suppress(giftpay.Refused):
        await send(client, REFUSED_GIFT, to="ben", count=1_000)
    await send_and_reverse(client, LOST_GIFT, SHORTFALL_POLICY_PLATFORM_LOSS)
    await send_and_reverse(client, OWED_GIFT, SHORTFALL_POLICY_DEBT)
    await adjust(client, "anna", UNIT_COIN, 7)
    await adjust(client, "ben", UNIT_DIAMOND, 1_000)
    await redeem(client, desk)


async def apply_catalog(client: Client, command: str, *, rose: int) -> None:
    request = ApplyCatalogRequest(idempotency_key=command, catalog=catalog(rose=rose))
    await client.catalog.ApplyCatalog(request)


async def buy(client: Client) -> None:
    for order in (PAID_ORDER, OPEN_ORDER, CANCELLED_ORDER):
        request = CreateTopUpRequest(
            idempotency_key=order,
            owner_id="anna",
            package_id="eur-700",
            provider=PAYMENT_PROVIDER_TRUSTED,
        )
        await client.top_ups.CreateTopUp(request)
    payment = ConfirmTopUpRequest(
        idempotency_key=PAYMENT, top_up_id=PAID_ORDER, payment_reference="pi_1"
    )
    await client.top_ups.ConfirmTopUp(payment)
    await client.top_ups.CancelTopUp(CancelTopUpRequest(top_up_id=CANCELLED_ORDER))


async def send(client: Client, command: str, *, to: str, **fields: Any) -> None:
    request = SendGiftRequest(
        idempotency_key=command, sender_id="anna", recipient_id=to, gift_id="rose", **fields
    )
    await client.gifts.SendGift(request)


async def adjust(client: Client, owner_id: str, unit: Unit.ValueType, amount: int) -> None:
    request = AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason="test")
    await client.admin.AdjustBalance(request)


async def send_and_reverse(client: Client, gift: str, policy: ShortfallPolicy.ValueType) -> None:
    await send(client, gift, to="cleo", count=2)
    await adjust(client, "cleo", UNIT_DIAMOND, -40)
    request = ReverseGiftRequest(
        idempotency_key=reversal_of(gift),
        transaction_id=gift,
        reason="test",
        shortfall_policy=policy,
    )
    await client.admin.ReverseGift(request)


async def redeem(client: Client, desk: Desk) -> None:
    for redemption in (PAID_OUT, CAME_BACK, DECLINED, CANCELLED, HELD):
        request = CreateRedemptionRequest(
            idempotency_key=redemption,
            owner_id="ben",
            diamonds=100,
            currency_code="EUR",
            destination="declined@example.org" if redemption == DECLINED else "ben@example.org",
        )
        await client.redemptions.CreateRedemption(request)
        if redemption == CANCELLED:
            cancel = CancelRedemptionRequest(redemption_id=redemption)
            await client.redemptions.CancelRedemption(cancel)
        elif redemption != HELD:
            await desk.work()
    

