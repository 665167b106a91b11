"""Payout providers: who sends creators their money, and what their silence means."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

import aiohttp

from giftpay_server.provider_http import AnswerLost, ProviderHttp, ProviderUnavailable


class PayoutRejected(Exception):
    """The provider refused the order itself and paid nothing for it; repeating it does not help.

    `code` is the provider's own, such as MALFORMED or IDEMPOTENCY_KEY_REUSED.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PayoutState(StrEnum):
    """Where a payout stands by the provider's word. PAID may still become RETURNED."""

    PENDING = "PENDING"
    PAID = "PAID"
    DECLINED = "DECLINED"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """What the provider is to pay, under a key that was stored before the first call."""

    key: str
    destination: str = field(repr=False)  # personal data, which no log line may show
    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True)
class PayoutAnswer:
    """The provider's word on one payout; `reason` says why it was declined."""

    key: str
    state: PayoutState
    reason: str | None


class PayoutProvider(Protocol):
    """A provider that pays creators."""

    @property
    def name(self) -> str:
        """What the books call it."""

    @property
    def dedupe_window(self) -> timedelta:
        """How long after its first use a key submitted again is a look-up, and not a payout."""

    async def submit(self, payout: PayoutOrder) -> PayoutAnswer:
        """Asks for the payout; under a key already known, answers how that payout stands.

        Raises `AnswerLost` where it may have been paid all the same, `ProviderUnavailable` where
        it was not sent, and `PayoutRejected` where the provider refuses the order itself.
        """

    async def find(self, key: str) -> PayoutAnswer | None:
        """The payout as it stands now, or None where the provider says that it knows none.

        An order still on its way is not known yet. Raises `ProviderUnavailable` where it says
        neither.
        """


class SandboxPayouts:
    """The sandbox's payouts."""

    name = "SANDBOX"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        dedupe_window: timedelta = timedelta(days=30),
    ) -> None:
        self._http = ProviderHttp(session, base_url, timeout_s=timeout_s)
        self.dedupe_window = dedupe_window

    async def submit(self, payout: PayoutOrder) -> PayoutAnswer:
        """See `PayoutProvider.submit`."""
        order = {
            "destination": payout.destination,
            "currency": payout.currency,
            "minor_units": payout.minor_units,
        }
        status, answer = await self._http.post("payouts", order, key=payout.key)
        match status, answer:
            case 200 | 201, _ if (read := _payout(payout.key, answer)) is not None:
                return read
            case 400 | 409, {"error": {"code": str(code)}}:
                raise PayoutRejected(code)
            case _:
                raise AnswerLost(f"no usable answer: status {status}")

    async def find(self, key: str) -> PayoutAnswer | None:
        """See `PayoutProvider.find`."""
        status, answer = await self._http.get("payouts", key)
        match status, answer:
            case 200, _ if (read := _payout(key, answer)) is not None:
                return read
            case 404, {"error": {"code": "PAYOUT_NOT_FOUND"}}:
                # Any other 404 is a wrong address, which knows nothing of any payout.
                return None
            case _:
                raise ProviderUnavailable(f"no usable answer: status {status}")


def _payout(key: str, answer: Any) -> PayoutAnswer | None:
    match answer:
        case {"key": str(named), "state": str(state)} if named == key and state in list(
            PayoutState
        ):
            reason = answer.get("decline_reason")
            return PayoutAnswer(
                key, PayoutState(state), reason if isinstance(reason, str) else None
            )
        case _:
            return None
