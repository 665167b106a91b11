"""The caller of an rpc and its rights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import grpc.aio
from giftpay.v1 import ERROR_REASON_PERMISSION_DENIED

from giftpay_server.ledger.model import refuse
from giftpay_server.wire.refusals import RefusedError

# Callers are not identified yet: the server binds loopback only, and everyone is this principal.
LOCAL = "local"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Right(StrEnum):
    """A permission that not every caller has."""

    TRUSTED_PAYMENTS = "trusted_payments"  # to say itself that an order was paid


@dataclass(frozen=True, slots=True)
class Call:
    """The identity and the rights of the caller of one rpc."""

    caller: str  # the application; idempotency keys are its own
    person: str = ""  # who acts through it; empty: not known
    rights: frozenset[Right] = frozenset()

    def may(self, right: Right) -> bool:
        """Whether the caller has the right."""
        return right in self.rights

    def require(self, right: Right) -> None:
        """Raises RefusedError with PERMISSION_DENIED where the caller lacks the right."""
        if not self.may(right):
            raise RefusedError(refuse(ERROR_REASON_PERMISSION_DENIED, right=right))


Identify: TypeAlias = Callable[[Context], Call]


def local_callers(trusted: frozenset[str]) -> Identify:
    """Identifies all callers as LOCAL, with all rights; TRUSTED_PAYMENTS only if it is trusted."""
    untrusted = frozenset() if LOCAL in trusted else {Right.TRUSTED_PAYMENTS}
    call = Call(LOCAL, rights=frozenset(Right) - untrusted)
    return lambda _: call
