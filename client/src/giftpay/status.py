"""Maps a gRPC status, or a refusal of an item, to the exception to raise."""

from collections.abc import Mapping
from enum import Enum
from typing import TypedDict, TypeVar, Unpack, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from giftpay.errors import (
    Exhausted,
    GiftpayError,
    Keys,
    Malformed,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from giftpay.refusals import TYPES
from giftpay.v1 import ErrorReason, Refusal

DOMAIN = "giftpay"
Detail = TypeVar("Detail", bound=Message)


class Facts(TypedDict, total=False):
    """The parts of a status besides its message."""

    reason: str
    metadata: Mapping[str, str]
    code: grpc.StatusCode


class End(Enum):
    """How a call ended, as far as its connection is concerned."""

    ANSWERED = "the server has answered, perhaps with a refusal"
    LOST = "it broke off, for a cause that is not the request"
    GIVEN_UP = "nobody waits any longer: its deadline has passed, or its caller has left"


# The statuses with which gRPC and proxies end calls that broke off. Others, such as UNIMPLEMENTED
# and PERMISSION_DENIED, are about the request or its caller: a retry would get them again.
BROKEN = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
}
UNANSWERED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}
TOO_LARGE = "message larger than max"  # gRPC's text, of the client or of the server


def end_of(error: GiftpayError) -> End:
    """How the call ended that raised this error."""
    if error.reason or TOO_LARGE in error.message:
        return End.ANSWERED
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return End.GIVEN_UP
    return End.LOST if error.code in BROKEN else End.ANSWERED


def is_transient(error: GiftpayError) -> bool:
    """Whether a retry may be answered. The idempotency key makes a retry safe."""
    return error.code in UNANSWERED if error.reason else end_of(error) is not End.ANSWERED


def refusal_error(refusal: Refusal, *, key: str = "") -> GiftpayError:
    """The exception that SendGift would have raised for this refusal of a batch or a stream."""
    known = refusal.reason in ErrorReason.values()
    reason = ErrorReason.Name(refusal.reason) if known else str(refusal.reason)
    keys = (key,) if key else ()
    return _type(reason)(refusal.message, reason=reason, metadata=refusal.metadata, keys=keys)


def call_error(error: grpc.aio.AioRpcError, keys: Keys | None) -> GiftpayError:
    """The exception for a call that ended with this status; `keys` is None for a read.

    Only a status of the giftpay server itself is a refusal. After any other one, such as a proxy's
    or an answer that is too large to receive, the outcome of a command is unknown.
    """
    status = _status(error)
    info = _detail(status, ErrorInfo())
    if info.domain != DOMAIN:
        info.Clear()
    facts = Facts(reason=info.reason, metadata=info.metadata, code=error.code())
    if error.code() in UNANSWERED or not info.reason:
        return unanswered(f"{error.code().name}: {error.details()}", keys, **facts)
    refused = _type(info.reason)(error.details() or "", keys=keys or (), **facts)
    return _with_details(refused, status)


def unanswered(message: str, keys: Keys | None, **facts: Unpack[Facts]) -> GiftpayError:
    """The exception for a call without an answer; `keys` is None for a read."""
    if keys is None:
        return Unavailable(message, **facts)
    return OutcomeUnknown(message, keys=keys, **facts)


def with_unknown_outcome(error: GiftpayError, keys: Keys) -> OutcomeUnknown:
    """The same error for commands with these keys that may have been carried out."""
    facts = Facts(reason=error.reason, metadata=error.metadata)
    if error.code is not None:
        facts["code"] = error.code
    return OutcomeUnknown(error.message, keys=keys, **facts)


def _type(reason: str) -> type[GiftpayError]:
    """The type for the full name of a reason; Refused for an unknown one."""
    return TYPES.get(reason, Refused)


def _status(error: grpc.aio.AioRpcError) -> Status:
    try:
        return rpc_status.from_call(cast(grpc.Call, error)) or Status()
    except (ValueError, DecodeError):  # a proxy rewrote the status or cut it
        return Status()


def _detail(status: Status, detail: Detail) -> Detail:
    """The first detail of this type, or an empty one."""
    for packed in status.details:
        if packed.Unpack(detail):
            break
    return detail


def _with_details(error: GiftpayError, status: Status) -> GiftpayError:
    match error:
        case Exhausted():
            error.retry_after = (
                _detail(status, RetryInfo()).retry_delay.ToTimedelta().total_seconds()
            )
        case Malformed():
            violations = _detail(status, BadRequest()).field_violations
            error.violations = tuple((each.field, each.description) for each in violations)
    return error
