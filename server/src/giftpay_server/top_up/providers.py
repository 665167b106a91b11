"""Payment providers: look up payments of buyers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import aiohttp

from giftpay_server.provider_http import ProviderHttp, ProviderUnavailable


class PaymentState(StrEnum):
    """The state of a payment at the provider."""

    PENDING = "PENDING"
    PAID = "PAID"
    DECLINED = "DECLINED"
    REFUNDED = "REFUNDED"


ANSWERS: dict[tuple[int, str], PaymentState | None] = {
    (200, "PENDING"): PaymentState.PENDING,
    (200, "PAID"): PaymentState.PAID,
    (200, "DECLINED"): PaymentState.DECLINED,
    (200, "REFUNDED"): PaymentState.REFUNDED,
    # Any other 404 means a wrong address and says nothing about the payment.
    (404, "PAYMENT_NOT_FOUND"): None,
}
"""The meaning of an answer to a look-up, by its HTTP status and the payment's state or error code.

None: there is no such payment. Every other answer is as none at all.
"""


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
        """The current state of a payment; None if the provider has none with this reference.

        Raises `ProviderUnavailable` if the provider gives no usable answer.
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
    code = _state_or_code(reference, status, answer)
    if (status, code) not in ANSWERS:
        raise ProviderUnavailable(f"no usable answer: status {status}: {code!r:.60}")
    state = ANSWERS[status, code]
    if state is None:
        return None
    return Payment(reference, state, answer["currency"], answer["minor_units"])


def _state_or_code(reference: str, status: int, answer: Any) -> str:
    match answer:
        case {"error": {"code": str(code)}} if status >= 400:
            return code
        case {
            "reference": str(named),
            "state": str(state),
            "currency": str(),
            "minor_units": int(minor_units),
        } if status < 400 and named == reference and type(minor_units) is int and minor_units > 0:
            return state
        case _:
            return ""
