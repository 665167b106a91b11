"""CreateRedemption over the wire: what is held, what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import giftpay
import pytest
from giftpay.v1 import (
    REDEMPTION_STATE_HELD,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    Money,
    UpdateWalletRequest,
)

from tests.redemption.conftest import AMOUNT, DIAMONDS, Desk, new_destination, redemption


def euro(minor_units: int) -> Money:
    return Money(currency_code="EUR", minor_units=minor_units)


async def test_redeeming_holds_the_diamonds_and_pays_nothing_yet(desk: Desk) -> None:
    mia = await desk.open_creator()
    request = redemption(mia, destination="mia@example.org")
    answer = await desk.client.redemptions.CreateRedemption(request)
    made = answer.redemption
    assert made.redemption_id == request.idempotency_key
    assert (made.owner_id, made.destination) == (mia, "mia@example.org")
    assert made.state == REDEMPTION_STATE_HELD
    assert made.quote.diamonds == DIAMONDS
    assert made.quote.amount == euro(AMOUNT)
    assert made.create_time == made.update_time
    assert (made.provider_key, made.return_reason, answer.replayed) == ("", "", False)
    assert await desk.read(made) == made
    assert await desk.diamonds(mia) == (DIAMONDS, DIAMONDS)
    assert await desk.payouts(made) == []


async def test_what_is_held_cannot_be_redeemed_again(desk: Desk) -> None:
    mia = await desk.open_creator()
    await desk.redeem(owner_id=mia, diamonds=2_000)
    with pytest.raises(giftpay.InsufficientDiamonds) as refused:
        await desk.redeem(owner_id=mia, diamonds=1_001)
    assert (refused.value.available, refused.value.required) == (1_000, 1_001)
    await desk.redeem(owner_id=mia, diamonds=1_000)
    assert await desk.diamonds(mia) == (DIAMONDS, DIAMONDS)


async def test_the_same_key_again_is_the_first_answer_whatever_happened_since(desk: Desk) -> None:
    mia = await desk.open_creator()
    request = redemption(mia, destination=new_destination())
    first = await desk.client.redemptions.CreateRedemption(request)
    await desk.work()
    assert await desk.state(first.redemption) == "PAID"
    again = await desk.client.redemptions.CreateRedemption(request)
    assert again.replayed
    assert again.redemption == first.redemption
    assert await desk.diamonds(mia) == (0, 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"diamonds": 2_999}, "diamonds"),
        ({"currency_code": "CHF"}, "currency_code"),
        ({"destination": "eve@example.org"}, "destination"),
        ({"expected_amount": euro(AMOUNT)}, "expected_amount"),
    ],
)
async def test_the_same_key_with_other_contents_is_refused_by_name(
    desk: Desk, change: dict[str, Any], field: str
) -> None:
    mia = await desk.open_creator()
    fields = {"idempotency_key": giftpay.new_key(), "destination": "mia@example.org"}
    await desk.client.redemptions.CreateRedemption(redemption(mia, **fields))
    with pytest.raises(giftpay.KeyReused) as refused:
        await desk.client.redemptions.CreateRedemption(redemption(mia, **{**fields, **change}))
    assert refused.value.fields == (field,)
    assert "example.org" not in str(refused.value)
    assert await desk.diamonds(mia) == (DIAMONDS, DIAMONDS)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"diamonds": DIAMONDS + 1}, giftpay.InsufficientDiamonds),
        ({"diamonds": 999}, giftpay.BelowMinimum),
        ({"currency_code": "CHF"}, giftpay.CurrencyNotSupported),
        ({"diamonds": 1_001, "currency_code": "XTS"}, giftpay.AmountLimit),
        ({"expected_amount": euro(AMOUNT + 1)}, giftpay.PriceChanged),
        ({"owner_id": "nobody"}, giftpay.WalletNotFound),
    ],
)
async def test_what_cannot_be_redeemed_is_refused_permanently_and_places_no_hold(
    desk: Desk, fields: dict[str, Any], refusal: type[giftpay.Refused]
) -> None:
    mia = await desk.open_creator()
    request = redemption(**{"owner_id": mia, **fields})
    preview = redemption(**{"owner_id": mia, "validate_only": True, **fields})
    with pytest.raises(refusal) as foretold:
        await desk.client.redemptions.CreateRedemption(preview)
    with pytest.raises(refusal) as refused:
        await desk.client.redemptions.CreateRedemption(request)
    assert refused.value.metadata == foretold.value.metadata
    await desk.redeem(owner_id=await desk.open_creator(diamonds=10_000))
    with pytest.raises(refusal) as again:
        await desk.client.redemptions.CreateRedemption(request)
    assert again.value.metadata == refused.value.metadata
    assert await desk.diamonds(mia) == (DIAMONDS, 0)


async def test_a_changed_price_is_refused_with_its_figures(desk: Desk) -> None:
    mia = await desk.open_creator()
    with pytest.raises(giftpay.PriceChanged) as refused:
        await desk.redeem(owner_id=mia, expected_amount=euro(1_500))
    figures = refused.value
    assert (figures.expected, figures.actual, figures.catalog_version) == (1_500, AMOUNT, 1)
    made = await desk.redeem(owner_id=mia, expected_amount=euro(AMOUNT))
    assert made.quote.amount == euro(AMOUNT)


async def test_only_adults_redeem(desk: Desk) -> None:
    birthday = (desk.clock() - timedelta(days=17 * 365)).date().isoformat()
    tom = await desk.open_creator(date_of_birth=birthday)
    with pytest.raises(giftpay.UnderAge) as refused:
        await desk.redeem(owner_id=tom)
    assert refused.value.adult_age == 18
    unknown = await desk.open_creator(age_verified=False)
    with pytest.raises(giftpay.AgeUnverified):
        await desk.redeem(owner_id=unknown)
    await desk.client.wallets.UpdateWallet(UpdateWalletRequest(owner_id=unknown, age_verified=True))
    await desk.redeem(owner_id=unknown)


async def test_a_frozen_or_closed_wallet_does_not_redeem(desk: Desk) -> None:
    mia, zoe = await desk.open_creator(), await desk.open_creator(diamonds=0)
    await desk.set_status(mia, WALLET_STATUS_FROZEN)
    with pytest.raises(giftpay.WalletFrozen):
        await desk.redeem(owner_id=mia)
    await desk.set_status(zoe, WALLET_STATUS_CLOSED)
    with pytest.raises(giftpay.WalletClosed):
        await desk.redeem(owner_id=zoe)


async def test_a_wallet_closes_only_when_its_diamonds_are_paid_for(desk: Desk) -> None:
    made = await desk.redeem()
    with pytest.raises(giftpay.WalletNotEmpty) as refused:
        await desk.set_status(made.owner_id, WALLET_STATUS_CLOSED)
    assert refused.value.held == DIAMONDS
    await desk.work()
    await desk.set_status(made.owner_id, WALLET_STATUS_CLOSED)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
        ({"owner_id": "mia redeems"}, "owner_id"),
        ({"diamonds": 0}, "diamonds"),
        ({"diamonds": -1}, "diamonds"),
        ({"diamonds": 10**12 + 1}, "diamonds"),
        ({"currency_code": "eur"}, "currency_code"),
        ({"destination": ""}, "destination"),
        ({"destination": "me"}, "destination"),
        ({"destination": "m" * 201}, "destination"),
        ({"destination": "mia\0@example.org"}, "destination"),
        ({"destination": "   "}, "destination"),
        ({"destination": " mia@example.org"}, "destination"),
        ({"destination": "mia@example.org\n"}, "destination"),
        ({"destination": "\u200b\u200b\u200b"}, "destination"),
        ({"expected_amount": Money(minor_units=1)}, "expected_amount.currency_code"),
        (
            {"expected_amount": Money(currency_code="USD", minor_units=1)},
            "expected_amount.currency_code",
        ),
        ({"expected_amount": euro(0)}, "expected_amount.minor_units"),
        ({"expected_amount": euro(10**12 + 1)}, "expected_amount.minor_units"),
    ],
)
async def test_malformed_requests_name_the_field(
    desk: Desk, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await desk.client.redemptions.CreateRedemption(redemption(**{"owner_id": "mia", **fields}))
    assert refused.value.field == field


async def test_a_dry_run_answers_and_places_no_hold(desk: Desk) -> None:
    mia = await desk.open_creator()
    request = redemption(mia)
    preview = redemption(mia, idempotency_key=request.idempotency_key, validate_only=True)
    foretold = (await desk.client.redemptions.CreateRedemption(preview)).redemption
    assert await desk.diamonds(mia) == (DIAMONDS, 0)
    made = await desk.client.redemptions.CreateRedemption(request)
    assert not made.replayed
    assert foretold.redemption_id == ""
    assert foretold.quote == made.redemption.quote
    assert foretold.state == made.redemption.state


async def test_the_destination_is_stored_only_where_it_can_be_erased(desk: Desk) -> None:
    destination = new_destination()
    made = await desk.redeem(destination)
    await desk.work()
    assert await desk.state(made) == "PAID"
    texts = [f"%{destination}%", f"%{destination.encode().hex()}%"]  # bytea reads as hex
    async with asyncpg.create_pool(desk.server.parts.config.database_url, min_size=1) as owner:
        tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        keeping = [
            table
            for (table,) in tables
            if await owner.fetchval(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE ANY($1)", texts
            )
        ]
    assert keeping == ["personal_data"]
