"""Maps a refusal to a gRPC status, and to the sentence that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from giftpay.v1 import ErrorReason, Refusal, options_pb2
from giftpay.v1.options_pb2 import RefusalOption
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from giftpay_server.ledger.model import Answer, Deferred, KeyReused, Outcome, Refused
from giftpay_server.wire.fields import InvalidArgumentError

DOMAIN = "giftpay"
RETRY_AFTER_MS = 100  # about the time in which a full queue empties


class RefusedError(Exception):
    """Ends a call with a refusal."""

    def __init__(self, answer: Answer | Refused) -> None:
        self.refusal = refusal_of(answer)
        super().__init__(ErrorReason.Name(self.refusal.reason))


@cache
def option_of(reason: ErrorReason.ValueType) -> RefusalOption:
    """The option of a reason: its status, sentence and figures."""
    value = ErrorReason.DESCRIPTOR.values_by_number[reason]
    option: RefusalOption = value.GetOptions().Extensions[options_pb2.refusal]
    return option


def settle(answer: Answer) -> Outcome:
    """The outcome, if the command was posted; raises RefusedError otherwise."""
    if isinstance(answer, Outcome) and not answer.transaction.reason:
        return answer
    raise RefusedError(answer)


def refusal_of(answer: Answer | Refused) -> Refusal:
    """A refusal for the wire, from where it was decided or stored."""
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
    sentence = option_of(reason).sentence.format_map(figures)
    return Refusal(reason=reason, message=sentence, metadata=figures)


def invalid(error: InvalidArgumentError) -> Refusal:
    """The refusal of an item that is malformed."""
    figures = {"field": error.field, "limit": error.limit}
    return refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, figures)


def status(refused: Refusal, others: Sequence[Refusal] = ()) -> status_pb2.Status:
    """The refusal as a gRPC status with its details; `others` are of further malformed fields."""
    info = error_details_pb2.ErrorInfo(
        reason=ErrorReason.Name(refused.reason), domain=DOMAIN, metadata=dict(refused.metadata)
    )
    details = [_packed(info), *(_packed(detail) for detail in _extra_details(refused, others))]
    return status_pb2.Status(
        code=option_of(refused.reason).status, message=refused.message, details=details
    )


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
        case ErrorReason.ERROR_REASON_OVERLOADED | ErrorReason.ERROR_REASON_LIMIT_REACHED:
            delay = Duration(nanos=RETRY_AFTER_MS * 1_000_000)
            return [error_details_pb2.RetryInfo(retry_delay=delay)]
        case _:
            return []


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
