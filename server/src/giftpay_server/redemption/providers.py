"""Payout providers: who sends creators their money, and what their silence means."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from yarl import URL


class ProviderUnavailable(Exception):
    """The provider's word was not obtained, and this call has moved no money."""


class AnswerLost(Exception):
    """The order may have reached the provider, and no answer came back: it may have paid."""


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
    """The sandbox's payouts. An answer takes at most `timeout_s` seconds, a connection half."""

    name = "SANDBOX"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        dedupe_window: timedelta = timedelta(days=30),
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s / 2)
        self.dedupe_window = dedupe_window

    async def submit(self, payout: PayoutOrder) -> PayoutAnswer:
        """See `PayoutProvider.submit`."""
        try:
            status, answer = await self._post(payout)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # There never was a connection that the order could have travelled on.
            raise ProviderUnavailable(f"no connection: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise AnswerLost(f"no answer: {type(error).__name__}") from error
        match status, answer:
            case 200 | 201, _ if (read := _payout(payout.key, answer)) is not None:
                return read
            case 400 | 409, {"error": {"code": str(code)}}:
                raise PayoutRejected(code)
            case _:
                raise AnswerLost(f"no usable answer: status {status}")

    async def find(self, key: str) -> PayoutAnswer | None:
        """See `PayoutProvider.find`."""
        try:
            status, answer = await self._get(key)
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise ProviderUnavailable(f"no answer: {type(error).__name__}") from error
        match status, answer:
            case 200, _ if (read := _payout(key, answer)) is not None:
                return read
            case 404, {"error": {"code": "PAYOUT_NOT_FOUND"}}:
                # Any other 404 is a wrong address, which knows nothing of any payout.
                return None
            case _:
                raise ProviderUnavailable(f"no usable answer: status {status}")

    async def _post(self, payout: PayoutOrder) -> tuple[int, Any]:
        async with self._session.post(
            f"{self._base_url}/payouts",
            headers={"Idempotency-Key": payout.key},
            json={
                "destination": payout.destination,
                "currency": payout.currency,
                "minor_units": payout.minor_units,
            },
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            return response.status, json.loads(await response.read())

    async def _get(self, key: str) -> tuple[int, Any]:
        url = URL(f"{self._base_url}/payouts/{quote(key, safe='')}", encoded=True)
        async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as response:
            return response.status, json.loads(await response.read())


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
