"""QuoteRedemption over the wire: what diamonds are worth, and what is not quoted."""

from __future__ import annotations

from typing import Any

import giftpay
import pytest
from giftpay.client import connect
from giftpay.v1 import (
    Money,
    OpenWalletRequest,
    QuoteRedemptionRequest,
    RedemptionQuote,
)
from giftpay_server.app import serving
from giftpay_server.config import Config

from tests.conftest import verify
from tests.redemption.conftest import HALF, Desk, redemption


def euro(minor_units: int) -> Money:
    return Money(currency_code="EUR", minor_units=minor_units)


async def test_a_quote_has_the_value_of_diamonds(desk: Desk) -> None:
    request = QuoteRedemptionRequest(diamonds=3_001, currency_code="EUR")
    answer = await desk.client.redemptions.QuoteRedemption(request)
    assert answer.quote == RedemptionQuote(
        diamonds=3_001,
        gross=euro(1_500),
        fee=euro(25),
        amount=euro(1_475),
        minor_units_per_diamond=HALF,
        minimum_diamonds=1_000,
        catalog_version=1,
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"diamonds": 0}, "diamonds"),
        ({"diamonds": 10**12 + 1}, "diamonds"),
        ({"currency_code": "Euro"}, "currency_code"),
    ],
)
async def test_malformed_quotes_name_the_field(
    desk: Desk, fields: dict[str, Any], field: str
) -> None:
    request = QuoteRedemptionRequest(**{"diamonds": 1_000, "currency_code": "EUR", **fields})
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await desk.client.redemptions.QuoteRedemption(request)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("diamonds", "currency_code", "refusal"),
    [
        (999, "EUR", giftpay.BelowMinimum),
        (1_000, "CHF", giftpay.CurrencyNotSupported),
        (1_001, "XTS", giftpay.AmountLimit),
    ],
)
async def test_what_cannot_be_quoted_is_refused(
    desk: Desk, diamonds: int, currency_code: str, refusal: type[giftpay.Refused]
) -> None:
    request = QuoteRedemptionRequest(diamonds=diamonds, currency_code=currency_code)
    with pytest.raises(refusal):
        await desk.client.redemptions.QuoteRedemption(request)


async def test_without_a_catalog_nothing_is_quoted_or_redeemed(new_database: Any) -> None:
    config = Config(database_url=await new_database(), listen="127.0.0.1:0")
    async with serving(config) as server, connect(server.address) as client:
        await client.wallets.OpenWallet(
            OpenWalletRequest(owner_id="mia", country_code="DE", age_verified=True)
        )
        with pytest.raises(giftpay.NoCatalog):
            await client.redemptions.QuoteRedemption(
                QuoteRedemptionRequest(diamonds=1, currency_code="EUR")
            )
        with pytest.raises(giftpay.NoCatalog):
            await client.redemptions.CreateRedemption(redemption("mia"))
        await verify(client)
