"""Payment providers: who is asked whether a buyer paid."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from yarl import URL


class ProviderUnavailable(Exception):
    """The provider's word was not obtained: no answer in time, or none that can be believed."""


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
    """The sandbox's payments. An answer takes at most `timeout_s` seconds, a connection half."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, timeout_s: float = 10.0
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s / 2)

    async def find(self, reference: str) -> Payment | None:
        """See `PaymentProvider.find`."""
        # The reference is the buyer's side's text: quoted whole, it cannot name another route.
        url = URL(f"{self._base_url}/payments/{quote(reference, safe='')}", encoded=True)
        try:
            async with self._session.get(
                url, timeout=self._timeout, allow_redirects=False
            ) as response:
                answer = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise ProviderUnavailable(f"no answer: {type(error).__name__}") from error
        return _payment(reference, response.status, answer)


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
