"""Asks a provider for the amount paid under a reference."""

from __future__ import annotations

from giftpay.v1 import (
    ERROR_REASON_PAYMENT_NOT_COMPLETE,
    ERROR_REASON_PAYMENT_NOT_FOUND,
    ERROR_REASON_PROVIDER_UNAVAILABLE,
    Money,
)

from giftpay_server.ledger.model import refuse
from giftpay_server.provider_http import ProviderUnavailable
from giftpay_server.top_up.providers import Payment, PaymentProvider, PaymentState
from giftpay_server.wire.refusals import RefusedError


async def amount_paid(provider: PaymentProvider | None, name: str, reference: str) -> Money:
    """The amount of a completed payment.

    Raises RefusedError with a reason that is not pinned: PROVIDER_UNAVAILABLE (also if this server
    is not connected to the provider), PAYMENT_NOT_FOUND, PAYMENT_NOT_COMPLETE.
    """
    payment = await _find(provider, name, reference)
    # If a provider compares references less strictly than we do, one payment could otherwise be
    # claimed under several spellings.
    if payment is None or payment.reference != reference:
        raise RefusedError(refuse(ERROR_REASON_PAYMENT_NOT_FOUND, payment_reference=reference))
    if payment.state is not PaymentState.PAID:
        figures = {"payment_reference": reference, "state": payment.state}
        raise RefusedError(refuse(ERROR_REASON_PAYMENT_NOT_COMPLETE, **figures))
    return Money(currency_code=payment.currency, minor_units=payment.minor_units)


async def _find(provider: PaymentProvider | None, name: str, reference: str) -> Payment | None:
    unavailable = refuse(ERROR_REASON_PROVIDER_UNAVAILABLE, provider=name)
    if provider is None:
        raise RefusedError(unavailable)
    try:
        return await provider.find(reference)
    except ProviderUnavailable as error:
        raise RefusedError(unavailable) from error
