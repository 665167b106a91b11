"""Payment providers: who is asked whether a buyer paid."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import aiohttp

from giftpay_server.provider_http import ProviderHttp, ProviderUnavailable


class PaymentState(StrEnum):
    """The state of a payment, as the provider says."""

    PENDING = "PENDING"
    PAID = "PAID"
    DECLINED = "DECLINED"
    REFUNDED = "REFUNDED"


ANSWERS: dict[tuple[int, str], PaymentState | None] = {
    (200, "PENDING"): PaymentState.PENDING,
    (200, "PAID"): PaymentState.PAID,
    (200, "DECLINED"): PaymentState.DECLINED,
    (200, "REFUNDED"): PaymentState.REFUNDED,
    # Any other 404 is a wrong address, which knows nothing of any payment.
    (404, "PAYMENT_NOT_FOUND"): None,
}
"""What each answer to a look-up means, by its status and what it says: the payment's state, or the
code of an error. None: there is no such payment. Every other answer tells nothing.
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
    says = _says(reference, status, answer)
    if (status, says) not in ANSWERS:
        raise ProviderUnavailable(f"no usable answer: status {status}: {says!r:.60}")
    state = ANSWERS[status, says]
    if state is None:
        return None
    return Payment(reference, state, answer["currency"], answer["minor_units"])


def _says(reference: str, status: int, answer: Any) -> str:
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
