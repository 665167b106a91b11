"""What a call can end with, other than its answer.

    GiftpayError
    ├── Refused                         the server said no, and why; nothing moved
    │   ├── InvalidArgument             .field .limit .violations
    │   ├── KeyReused                   .fields
    │   ├── Overloaded                  .queued .retry_after
    │   ├── PermissionDenied            .right
    │   ├── SlowReader                  .last_seq
    │   ├── NoCatalog
    │   ├── NotFound
    │   │   ├── TransactionNotFound     .transaction_id
    │   │   ├── WalletNotFound          .owner_id
    │   │   ├── UnknownGift             .gift_id .catalog_version
    │   │   ├── UnknownPackage          .package_id .catalog_version
    │   │   ├── CatalogNotFound         .version
    │   │   ├── GiftNotFound            .transaction_id
    │   │   ├── TopUpNotFound           .top_up_id
    │   │   └── RedemptionNotFound      .redemption_id
    │   ├── WalletExists                .owner_id .fields
    │   ├── WalletFrozen                .owner_id
    │   ├── WalletClosed                .owner_id
    │   ├── WalletNotEmpty              .owner_id .coins .diamonds .held .open_top_ups
    │   ├── InsufficientCoins           .owner_id .available .required
    │   ├── InsufficientDiamonds        .owner_id .available .required
    │   ├── BalanceLimit                .owner_id .unit .limit
    │   ├── AmountLimit                 .amount .limit
    │   ├── UnderAge                    .owner_id .adult_age
    │   ├── AgeUnverified               .owner_id
    │   ├── GiftOffSale                 .gift_id .catalog_version
    │   ├── PackageOffSale              .package_id .catalog_version
    │   ├── PackageNotSoldInCountry     .package_id .country_code
    │   ├── PriceChanged                .expected .actual .catalog_version
    │   ├── CatalogVersionConflict      .expected_version .current_version
    │   ├── GiftToSelf                  .owner_id
    │   ├── GiftAlreadyReversed         .transaction_id .reversal_id
    │   ├── WrongTopUpState             .top_up_id .state
    │   ├── PaymentReferenceUsed        .payment_reference .top_up_id
    │   ├── PaymentMismatch             .expected .actual
    │   ├── PaymentNotFound             .payment_reference
    │   ├── PaymentNotComplete          .payment_reference .state
    │   ├── WrongRedemptionState        .redemption_id .state
    │   ├── BelowMinimum                .diamonds .minimum .currency_code
    │   └── CurrencyNotSupported        .currency_code .catalog_version
    ├── Internal                        .incident; a defect of the server
    ├── OutcomeUnknown                  a command without an answer: send the same key again
    └── Unavailable                     a read without an answer

A reason that this client does not know yet is a plain Refused. A figure that the server leaves out
is 0 or empty, as it would be in a message.
"""

from collections.abc import Mapping
from inspect import get_annotations
from typing import ClassVar

import grpc

Keys = tuple[str, ...]


class GiftpayError(Exception):
    """A call that did not end with its answer."""

    message: str
    """A sentence for a developer. It may change; match on the type or the reason."""
    reason: str
    """The full name of an ErrorReason, known to this client or not; empty if none was given."""
    metadata: Mapping[str, str]
    """The figures as they were sent."""
    code: grpc.StatusCode | None
    """The status of the call; None for an item of a batch or of a stream."""
    keys: Keys
    """The keys of all commands concerned; none for a read."""

    pinned: ClassVar[bool] = False
    """Whether the key got this answer for ever. Otherwise the same key may be sent again."""
    _figures: ClassVar[Mapping[str, type]] = {}

    def __init_subclass__(cls, *, reason: str = "", pinned: bool = False) -> None:
        cls.pinned = pinned
        cls._figures = {n: t for n, t in get_annotations(cls).items() if n not in vars(cls)}
        if reason:
            _types[f"ERROR_REASON_{reason}"] = cls

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


_types: dict[str, type[GiftpayError]] = {}  # by the full name of the reason


class Refused(GiftpayError):
    """The server said no, and why; nothing moved."""


class NotFound(Refused):
    """What the call names does not exist."""


class InvalidArgument(Refused, reason="INVALID_ARGUMENT"):
    """The request is malformed: `field` is not within `limit`."""

    field: str
    limit: str
    violations: tuple[tuple[str, str], ...] = ()
    """All that is malformed: each field with a sentence."""


class KeyReused(Refused, reason="IDEMPOTENCY_KEY_REUSED"):
    """The key stands for another request; `fields` differ, none if it is another caller's."""

    fields: tuple[str, ...]


class Overloaded(Refused, reason="OVERLOADED"):
    """More waits than can be served; nothing was taken. Never repeated unseen."""

    queued: int
    retry_after: float = 0.0
    """Seconds to wait before the same key is sent again; 0 if the server does not say."""


class PermissionDenied(Refused, reason="PERMISSION_DENIED"):
    """The caller lacks the right."""

    right: str


class SlowReader(Refused, reason="SLOW_READER"):
    """The stream was ended, as its messages were not taken; resume after `last_seq`."""

    last_seq: int


class NoCatalog(Refused, reason="NO_CATALOG", pinned=True):
    """No catalog was ever applied."""


class TransactionNotFound(NotFound, reason="TRANSACTION_NOT_FOUND"):
    """Nothing was decided under this id or key."""

    transaction_id: str


class Internal(GiftpayError, reason="INTERNAL"):
    """A defect of the server, in its log under `incident`. Nothing was decided."""

    incident: str


class OutcomeUnknown(GiftpayError):
    """A command without an answer: it may have been carried out or not.

    Send the same request with the same key again, or ask GetTransaction by `key` what was decided.
    A new key could make it happen twice. Of a batch or a stream, `keys` are those that have no
    answer.
    """


class Unavailable(GiftpayError):
    """A read without an answer: the server is away, too slow or broken. Nothing is wrong."""


_types |= {
    "ERROR_REASON_DATABASE_UNAVAILABLE": OutcomeUnknown,
    "ERROR_REASON_SHUTTING_DOWN": OutcomeUnknown,
    "ERROR_REASON_CLOCK_SKEW": OutcomeUnknown,
    "ERROR_REASON_ACCOUNT_BUSY": OutcomeUnknown,
    "ERROR_REASON_PROVIDER_UNAVAILABLE": OutcomeUnknown,
}


def error_type(reason: str) -> type[GiftpayError]:
    """The type for the full name of an ErrorReason, also for one that is not known yet."""
    return _types.get(reason, Refused)


def _parsed(text: str, kind: type) -> str | int | tuple[str, ...]:
    if kind is int:
        return int(text) if text.removeprefix("-").isdecimal() else 0
    return text if kind is str else tuple(name for name in text.split(",") if name)
