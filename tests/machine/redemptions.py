"""The model's decisions on redemptions."""

from __future__ import annotations

from typing import Any

from giftpay import v1

from tests.machine.state import Refused, State, at_rate, missing, refused, short, stopped, too_young


def create_redemption(state: State, request: v1.CreateRedemptionRequest) -> Any:
    if no := missing(state, request.owner_id):
        return no
    owner = state.owners[request.owner_id]
    if no := stopped(owner) or too_young(owner):
        return no
    quote = _quote(state, request)
    if isinstance(quote, Refused):
        return quote
    available = owner.diamonds.available
    if available < request.diamonds:
        return short("DIAMONDS", owner.owner_id, available=available, required=request.diamonds)
    owner.diamonds.held += request.diamonds
    redemption = v1.Redemption(
        redemption_id=request.idempotency_key,
        owner_id=owner.owner_id,
        quote=quote,
        destination=request.destination,
        state=v1.REDEMPTION_STATE_HELD,
    )
    state.redemptions[redemption.redemption_id] = redemption
    return v1.CreateRedemptionResponse(redemption=redemption)


def _quote(state: State, request: v1.CreateRedemptionRequest) -> v1.RedemptionQuote | Refused:
    version, currency, diamonds = state.catalog.version, request.currency_code, request.diamonds
    rates = {rate.currency_code: rate for rate in state.catalog.payout_rates}
    rate = rates.get(currency)
    if rate is None:
        return refused("CURRENCY_NOT_SUPPORTED", currency_code=currency, catalog_version=version)
    minimum = rate.minimum_diamonds
    if diamonds < minimum:
        return refused("BELOW_MINIMUM", diamonds=diamonds, minimum=minimum, currency_code=currency)
    gross, fee = at_rate(diamonds, rate.minor_units_per_diamond), rate.fee_minor_units
    expected = request.expected_amount.minor_units
    if request.HasField("expected_amount") and expected != gross - fee:
        return refused(
            "PRICE_CHANGED", expected=expected, actual=gross - fee, catalog_version=version
        )
    return v1.RedemptionQuote(
        diamonds=diamonds,
        gross=v1.Money(currency_code=currency, minor_units=gross),
        fee=v1.Money(currency_code=currency, minor_units=fee),
        amount=v1.Money(currency_code=currency, minor_units=gross - fee),
        minor_units_per_diamond=rate.minor_units_per_diamond,
        minimum_diamonds=minimum,
        catalog_version=version,
    )


def cancel_redemption(state: State, request: v1.CancelRedemptionRequest) -> Any:
    redemption = state.redemptions.get(request.redemption_id)
    if redemption is None:
        return refused("REDEMPTION_NOT_FOUND", redemption_id=request.redemption_id)
    if redemption.state == v1.REDEMPTION_STATE_HELD:
        state.owners[redemption.owner_id].diamonds.held -= redemption.quote.diamonds
        redemption.state = v1.REDEMPTION_STATE_CANCELLED
    return v1.CancelRedemptionResponse(redemption=redemption)
