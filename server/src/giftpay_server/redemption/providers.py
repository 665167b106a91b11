"""Payout providers: send money to creators, and look up payouts."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any, Protocol, TypeAlias

import aiohttp

from giftpay_server.provider_http import AnswerLost, ProviderHttp, ProviderUnavailable
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_DECLINED as DECLINED
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_DIFFERS as DIFFERS
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_LOST as LOST
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_NOT_FOUND as NOT_FOUND
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_PAID as PAID
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_PENDING as PENDING
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_REJECTED as REJECTED
from giftpay_server.stored.v1.payout_pb2 import PAYOUT_RESULT_RETURNED as RETURNED
from giftpay_server.stored.v1.payout_pb2 import PayoutResult

Result: TypeAlias = "PayoutResult.ValueType"


class ProviderCall(IntEnum):
    """The kind of a call to the provider; each has a column in ANSWERS."""

    FIRST_SEND = 0
    REPEATED_SEND = 1
    LOOK_UP = 2


ANSWERS: dict[tuple[int, str], tuple[Result, Result, Result]] = {
    # status, state or error code: first send, repeated send, look-up
    (200, "PENDING"): (PENDING, PENDING, PENDING),
    (200, "PAID"): (PAID, PAID, PAID),
    (200, "DECLINED"): (DECLINED, DECLINED, DECLINED),
    (200, "RETURNED"): (RETURNED, RETURNED, RETURNED),
    (201, "PENDING"): (PENDING, PENDING, LOST),
    (201, "PAID"): (PAID, PAID, LOST),
    (201, "DECLINED"): (DECLINED, DECLINED, LOST),
    (201, "RETURNED"): (RETURNED, RETURNED, LOST),
    # A refusal of a repeated order says nothing about the first one, which may have been paid.
    (400, "MALFORMED"): (REJECTED, LOST, LOST),
    # Any other 404 means a wrong address and says nothing about the payout.
    (404, "PAYOUT_NOT_FOUND"): (LOST, LOST, NOT_FOUND),
    (409, "IDEMPOTENCY_KEY_REUSED"): (DIFFERS, DIFFERS, LOST),
}
"""The meaning of an answer, by its HTTP status and the payout's state or error code.

Every other answer is LOST, as is a missing one. A look-up that is LOST is repeated later.
"""
UNCLEAR = (LOST, LOST, LOST)

CONTENTS = {"destination": str, "currency": str, "minor_units": int}
"""The contents of a payout that an answer may have, and their types."""


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """A payout to make, under a key that was stored before the first call."""

    key: str
    destination: str = field(repr=False)  # personal data, which no log line may show; "" if erased
    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True)
class PayoutAnswer:
    """The result of a call, with those of the payout's contents that the answer has."""

    result: Result
    reason: str = ""  # the provider's, such as why it declined
    destination: str | None = field(default=None, repr=False)
    currency: str | None = None
    minor_units: int | None = None

    @property
    def has_contents(self) -> bool:
        """Whether the answer has all of them."""
        return None not in (self.destination, self.currency, self.minor_units)


class PayoutProvider(Protocol):
    """A provider that pays creators. Its answers are compared with the order by the caller."""

    @property
    def name(self) -> str:
        """Its name in the books."""

    @property
    def dedupe_window(self) -> timedelta:
        """How long the provider deduplicates a key after its first use."""

    async def submit(self, order: PayoutOrder, *, again: bool = False) -> PayoutAnswer:
        """Orders the payout; a key that is already known returns the state of its payout.

        Raises `ProviderUnavailable` if the order was not sent.
        """

    async def find(self, key: str) -> PayoutAnswer:
        """The current state of the payout; NOT_FOUND also if the order is still on its way.

        Raises `ProviderUnavailable` if the provider gives no usable answer.
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

    async def submit(self, order: PayoutOrder, *, again: bool = False) -> PayoutAnswer:
        """See `PayoutProvider.submit`."""
        wanted = {
            "destination": order.destination,
            "currency": order.currency,
            "minor_units": order.minor_units,
        }
        try:
            status, body = await self._http.post("payouts", wanted, key=order.key)
        except AnswerLost as error:
            return PayoutAnswer(LOST, str(error))
        return _read(
            order.key,
            ProviderCall.REPEATED_SEND if again else ProviderCall.FIRST_SEND,
            status,
            body,
        )

    async def find(self, key: str) -> PayoutAnswer:
        """See `PayoutProvider.find`."""
        answer = _read(key, ProviderCall.LOOK_UP, *await self._http.get("payouts", key))
        if answer.result == LOST:
            raise ProviderUnavailable(f"no usable answer: {answer.reason}")
        return answer


def _read(key: str, call: ProviderCall, status: int, body: Any) -> PayoutAnswer:
    code, known = _parsed(key, status, body)
    result = ANSWERS.get((status, code), UNCLEAR)[call]
    if result == LOST:
        return PayoutAnswer(LOST, f"status {status}: {code!r:.60}")
    return PayoutAnswer(result, **known)


def _parsed(key: str, status: int, body: Any) -> tuple[str, dict[str, Any]]:
    match body:
        case {"error": {"code": str(code)}} if status >= 400:
            return code, {"reason": code}
        case {"key": str(named), "state": str(state)} if status < 400 and named == key:
            contents = {name: body[name] for name in CONTENTS if body.get(name) is not None}
            if all(type(value) is CONTENTS[name] for name, value in contents.items()):
                return state, contents | _reason(body)
    return "", {}


def _reason(body: Any) -> dict[str, str]:
    reason = body.get("decline_reason")
    return {"reason": reason} if isinstance(reason, str) else {}


def compared(order: PayoutOrder, answer: PayoutAnswer) -> PayoutAnswer:
    """The answer, or DIFFERS if its payout has other contents than the order."""
    differences = []
    if order.destination and answer.destination not in (None, order.destination):
        differences.append("another destination")
    if answer.currency not in (None, order.currency):
        differences.append(f"currency {answer.currency} and not {order.currency}")
    if answer.minor_units not in (None, order.minor_units):
        differences.append(f"minor_units {answer.minor_units} and not {order.minor_units}")
    return PayoutAnswer(DIFFERS, ", ".join(differences)) if differences else answer
