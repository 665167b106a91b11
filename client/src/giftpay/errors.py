"""The base classes of the errors that a call can raise.

The error of each reason is in `giftpay.refusals`, whose docstring shows all of them as a tree.

A reason that this client does not know is a plain Refused. A figure that the server leaves out
is 0 or empty, like a field of a message.
"""

from collections.abc import Mapping
from inspect import get_annotations
from typing import ClassVar, Self

import grpc

Keys = tuple[str, ...]


class GiftpayError(Exception):
    """A call that ended without its answer."""

    message: str
    """A sentence for a developer. It may change; match on the type or the reason."""
    reason: str
    """The full name of an ErrorReason, even of an unknown one; empty if there is none."""
    metadata: Mapping[str, str]
    """The figures as they were received."""
    code: grpc.StatusCode | None
    """The status of the call; None for an item of a batch or of a stream."""
    keys: Keys
    """The idempotency keys of all commands concerned; none for a read."""

    pinned: ClassVar[bool] = False
    """Whether a replay gets the same refusal. Otherwise the same key may be sent again."""
    _figures: ClassVar[Mapping[str, type]] = {}

    def __init_subclass__(cls) -> None:
        cls._figures = {n: t for n, t in get_annotations(cls).items() if n not in vars(cls)}

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        code: grpc.StatusCode | None = None,
        keys: Keys = (),
    ) -> None:
        super().__init__(message)
        self.message, self.reason, self.code, self.keys = message, reason, code, keys
        self.metadata = dict(metadata or {})
        for name, kind in self._figures.items():
            setattr(self, name, _parsed(self.metadata.get(name, ""), kind))

    @property
    def key(self) -> str:
        """The key of the command; empty for a read, and where several commands are concerned."""
        return self.keys[0] if len(self.keys) == 1 else ""

    def __str__(self) -> str:
        facts = [self.reason.removeprefix("ERROR_REASON_"), self.key and f"key {self.key}"]
        return " ".join([self.message, *(f"[{fact}]" for fact in facts if fact)])


class Refused(GiftpayError):
    """The server refused the call for a reason; nothing was moved."""


class NotFound(Refused):
    """Something that the call names does not exist."""


class Malformed(Refused):
    """The request is malformed."""

    violations: tuple[tuple[str, str], ...] = ()
    """Each malformed field, with a sentence about it."""


class RequestTooLarge(Malformed):
    """The request is larger than the server accepts, and was not sent."""

    size: int
    """The size of the request in bytes."""
    limit: int
    """The maximum size of a message in bytes."""

    @classmethod
    def of(cls, size: int, limit: int, keys: Keys = ()) -> Self:
        """The error of a request of this size."""
        message = f"A message of {size} bytes is not sent: the server takes {limit}."
        figures = {"size": str(size), "limit": str(limit)}
        return cls(message, metadata=figures, keys=keys)


class Exhausted(Refused):
    """The server has no capacity for the call. The client never retries it by itself."""

    retry_after: float = 0.0
    """Seconds to wait before a retry with the same key; 0 if the server does not say."""


class OutcomeUnknown(GiftpayError):
    """A command without an answer; its outcome is unknown.

    It may have been carried out or not. Send the same request with the same key again, or read
    the outcome with GetTransaction by `key`. With a new key it could be carried out twice. For a
    batch or a stream, `keys` are those that have no answer.
    """


class Unavailable(GiftpayError):
    """A read without an answer.

    The server is unreachable, too slow, or fails.
    """


def _parsed(text: str, kind: type) -> str | int | tuple[str, ...]:
    if kind is int:
        return int(text) if text.removeprefix("-").isdecimal() else 0
    return text if kind is str else tuple(name for name in text.split(",") if name)
