"""The one table from a no to a status, and the sentences that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from giftpay.v1 import ErrorReason, Refusal
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from giftpay_server.ledger.model import Answer, Deferred, KeyReused, Outcome, Refused
from giftpay_server.protobuf import short_name
from giftpay_server.wire.fields import InvalidArgumentError

DOMAIN = "giftpay"
RETRY_AFTER_MS = 100  # about what the queue takes to empty


class RefusedError(Exception):
    """A refusal on its way to the wire."""

    def __init__(self, answer: Answer | Refused) -> None:
        self.refusal = refusal_of(answer)
        super().__init__(ErrorReason.Name(self.refusal.reason))


class _Told(NamedTuple):
    code: StatusCode
    sentence: str  # a template over the figures


_NO = StatusCode.FAILED_PRECONDITION

TABLE: Mapping[str, _Told] = {
    "INVALID_ARGUMENT": _Told(StatusCode.INVALID_ARGUMENT, "{field}: must be {limit}."),
    "IDEMPOTENCY_KEY_REUSED": _Told(
        StatusCode.ALREADY_EXISTS, "The key already stands for another request ({fields})."
    ),
    "OVERLOADED": _Told(
        StatusCode.RESOURCE_EXHAUSTED, "{queued} commands wait already; nothing was taken."
    ),
    "DATABASE_UNAVAILABLE": _Told(
        StatusCode.UNAVAILABLE, "The database is away. Send the same key again."
    ),
    "SHUTTING_DOWN": _Told(StatusCode.UNAVAILABLE, "The server is stopping; nothing was taken."),
    "INTERNAL": _Told(StatusCode.INTERNAL, "A defect of the server, logged as {incident}."),
    "PERMISSION_DENIED": _Told(StatusCode.PERMISSION_DENIED, "The caller lacks {right}."),
    "TRANSACTION_NOT_FOUND": _Told(StatusCode.NOT_FOUND, "Nothing was decided under this name."),
    "SLOW_READER": _Told(StatusCode.ABORTED, "Read too slowly; resume after {last_seq}."),
    "CLOCK_SKEW": _Told(
        StatusCode.UNAVAILABLE,
        "The server's clock is {skew_s} s from its database's, which may be {bound_s} s; "
        "nothing was decided.",
    ),
    "ACCOUNT_BUSY": _Told(
        StatusCode.UNAVAILABLE,
        "Another session holds a row of {owner_id}. Send the same key again.",
    ),
    "NO_CATALOG": _Told(_NO, "No catalog was applied."),
    "WALLET_NOT_FOUND": _Told(StatusCode.NOT_FOUND, "{owner_id} has no wallet."),
    "WALLET_EXISTS": _Told(
        StatusCode.ALREADY_EXISTS, "{owner_id} has a wallet with another {fields}."
    ),
    "WALLET_FROZEN": _Told(_NO, "The wallet of {owner_id} is frozen."),
    "WALLET_CLOSED": _Told(_NO, "The wallet of {owner_id} is closed."),
    "WALLET_NOT_EMPTY": _Told(_NO, "The wallet of {owner_id} is not empty."),
    "INSUFFICIENT_COINS": _Told(
        _NO, "{owner_id} has {available} coins available and needs {required}."
    ),
    "INSUFFICIENT_DIAMONDS": _Told(
        _NO, "{owner_id} has {available} diamonds available and needs {required}."
    ),
    "BALANCE_LIMIT": _Told(_NO, "{owner_id} would have more than {limit} {unit}."),
    "AMOUNT_LIMIT": _Told(_NO, "{amount} is more than {limit} at once."),
    "UNDER_AGE": _Told(_NO, "{owner_id} is younger than {adult_age}."),
    "AGE_UNVERIFIED": _Told(_NO, "The age of {owner_id} was never verified."),
    "UNKNOWN_GIFT": _Told(StatusCode.NOT_FOUND, "There is no gift {gift_id}."),
    "GIFT_OFF_SALE": _Told(_NO, "{gift_id} is no longer sold."),
    "UNKNOWN_PACKAGE": _Told(StatusCode.NOT_FOUND, "There is no package {package_id}."),
    "PACKAGE_OFF_SALE": _Told(_NO, "{package_id} is not sold now."),
    "PACKAGE_NOT_SOLD_IN_COUNTRY": _Told(_NO, "{package_id} is not sold in {country_code}."),
    "PRICE_CHANGED": _Told(_NO, "It comes to {actual}, not to {expected}."),
    "CATALOG_VERSION_CONFLICT": _Told(
        StatusCode.ABORTED, "The catalog is at {current_version}, not at {expected_version}."
    ),
    "CATALOG_NOT_FOUND": _Told(StatusCode.NOT_FOUND, "There is no version {version}."),
    "GIFT_TO_SELF": _Told(_NO, "{owner_id} cannot send a gift to itself."),
    "GIFT_NOT_FOUND": _Told(StatusCode.NOT_FOUND, "No gift was sent as {transaction_id}."),
    "GIFT_ALREADY_REVERSED": _Told(_NO, "{transaction_id} was reversed by {reversal_id}."),
    "TOP_UP_NOT_FOUND": _Told(StatusCode.NOT_FOUND, "There is no top-up {top_up_id}."),
    "TOP_UP_STATE": _Told(_NO, "The top-up {top_up_id} is {state}."),
    "PAYMENT_REFERENCE_USED": _Told(_NO, "{payment_reference} paid for {top_up_id}."),
    "PAYMENT_MISMATCH": _Told(_NO, "The payment is of {actual}, the order of {expected}."),
    "PAYMENT_NOT_FOUND": _Told(_NO, "The provider does not know {payment_reference}."),
    "PAYMENT_NOT_COMPLETE": _Told(_NO, "The payment {payment_reference} is {state}."),
    "PROVIDER_UNAVAILABLE": _Told(StatusCode.UNAVAILABLE, "{provider} does not answer."),
    "REDEMPTION_NOT_FOUND": _Told(StatusCode.NOT_FOUND, "There is no redemption {redemption_id}."),
    "REDEMPTION_STATE": _Told(_NO, "The redemption {redemption_id} is {state}."),
    "BELOW_MINIMUM": _Told(_NO, "{diamonds} is less than {minimum} diamonds."),
    "CURRENCY_NOT_SUPPORTED": _Told(_NO, "Diamonds are not redeemed in {currency_code}."),
}


def settle(answer: Answer) -> Outcome:
    """The outcome, if the command was posted; raises RefusedError otherwise."""
    if isinstance(answer, Outcome) and not answer.transaction.reason:
        return answer
    raise RefusedError(answer)


def refusal_of(answer: Answer | Refused) -> Refusal:
    """A no as it is told, from where it was decided or stored."""
    match answer:
        case KeyReused(fields):
            figures = {"fields": ",".join(fields)}
            return refusal(ErrorReason.ERROR_REASON_IDEMPOTENCY_KEY_REUSED, figures)
        case Refused(reason, figures):
            return refusal(reason, figures)
        case Deferred(why):
            raise AssertionError(f"a caller's command was deferred: {why}")
        case Outcome(transaction):
            stored = Refusal.FromString(transaction.answer)
            return refusal(stored.reason, stored.metadata)


def refusal(reason: ErrorReason.ValueType, figures: Mapping[str, str]) -> Refusal:
    """A refusal with its sentence."""
    told = TABLE[short_name(ErrorReason, reason)]
    return Refusal(reason=reason, message=told.sentence.format_map(figures), metadata=figures)


def invalid(error: InvalidArgumentError) -> Refusal:
    """The refusal of an item that is malformed."""
    figures = {"field": error.field, "limit": error.limit}
    return refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, figures)


def status(refused: Refusal, others: Sequence[Refusal] = ()) -> status_pb2.Status:
    """The refusal as a gRPC status with its details; `others` are of further malformed fields."""
    info = error_details_pb2.ErrorInfo(
        reason=ErrorReason.Name(refused.reason), domain=DOMAIN, metadata=dict(refused.metadata)
    )
    code = TABLE[short_name(ErrorReason, refused.reason)].code
    details = [_packed(info), *(_packed(detail) for detail in _extra_details(refused, others))]
    return status_pb2.Status(code=code.value[0], message=refused.message, details=details)


def _extra_details(refused: Refusal, others: Sequence[Refusal]) -> list[Message]:
    match refused.reason:
        case ErrorReason.ERROR_REASON_INVALID_ARGUMENT:
            violations = [
                error_details_pb2.BadRequest.FieldViolation(
                    field=each.metadata["field"], description=each.message
                )
                for each in (refused, *others)
            ]
            return [error_details_pb2.BadRequest(field_violations=violations)]
        case ErrorReason.ERROR_REASON_OVERLOADED:
            delay = Duration(nanos=RETRY_AFTER_MS * 1_000_000)
            return [error_details_pb2.RetryInfo(retry_delay=delay)]
        case _:
            return []


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
