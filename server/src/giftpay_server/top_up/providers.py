"""Payment providers: who is asked whether a buyer paid."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import aiohttp

from giftpay_server.provider_http import ProviderHttp, ProviderUnavailable


class PaymentState(StrEnum):
    """Where a payment stands by the provider's word."""

    PENDING = "PENDING"
    PAID = "PAID"
    DECLINED = "DECLINED"
    REFUNDED = "REFUNDED"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the provider knows it: an ISO 4217 code and whole minor units, above zero."""

    reference: str
    state: PaymentState
    currency: str
    minor_units: int


class PaymentProvider(Protocol):
    """A provider that buyers pay with."""

    async def find(self, reference: str) -> Payment | None:
        """The payment as it stands now, or None where the provider says that it knows none.

        Raises `ProviderUnavailable` where it says neither.
        """


class SandboxPayments:
    """The sandbox's payments."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, timeout_s: float = 10.0
    ) -> None:
        self._http = ProviderHttp(session, base_url, timeout_s=timeout_s)

    async def find(self, reference: str) -> Payment | None:
        """See `PaymentProvider.find`."""
        return _payment(reference, *await self._http.get("payments", reference))


def _payment(reference: str, status: int, answer: Any) -> Payment | None:
    match status, answer:
        case 200, {
            "reference": str(named),
            "state": str(state),
            "currency": str(currency),
            "minor_units": int(minor_units),
        } if (
            named == reference
            and state in list(PaymentState)
            and type(minor_units) is int
            and minor_units > 0
        ):
            return Payment(reference, PaymentState(state), currency, minor_units)
        case 404, {"error": {"code": "PAYMENT_NOT_FOUND"}}:
            # Any other 404 is a wrong address, which knows nothing of any payment.
            return None
        case _:
            raise ProviderUnavailable(f"no usable answer: status {status}")
